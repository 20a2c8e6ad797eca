//! The addresses of a configuration: that they can be dialled, and that nobody else has them.

use std::collections::BTreeMap;

use super::{ClusterConfig, Fault, NodeConfig, fault};
use crate::service::address::Address;

impl ClusterConfig {
    pub(crate) fn check_addresses(&self) -> Result<(), Fault> {
        let mut everywhere = Taken::default();
        for (position, node) in self.nodes.iter().enumerate() {
            let [peer, client] = node.dialled(position);
            let [peer_listen, client_listen, metrics] = node.listened_on(position);
            for dialled in [&peer, &client] {
                everywhere.add(dialled, dialled.parse_dialled()?)?;
            }
            let address = metrics.parse()?;
            // Of every interface of its machine, which is another one for each node.
            if address.port != 0 && !address.is_unspecified() {
                everywhere.add(&metrics, address.clone())?;
            }
            let mut here = Taken::default();
            here.add(&peer_listen, peer_listen.parse_with_port()?)?;
            here.add(&client_listen, client_listen.parse_with_port()?)?;
            if address.port != 0 {
                here.add(&metrics, address)?;
            }
        }
        Ok(())
    }
}

impl NodeConfig {
    /// The fields that others dial.
    fn dialled(&self, position: usize) -> [AddressField; 2] {
        let field = |name, text: &str| AddressField::new(position, name, text);
        [
            field("peer_address", &self.peer_address),
            field("client_address", &self.client_address),
        ]
    }

    /// What the node listens on, each with the field that says so.
    fn listened_on(&self, position: usize) -> [AddressField; 3] {
        let field = |name, text: &str| AddressField::new(position, name, text);
        let name = |listen: &Option<String>, own, other| match listen {
            Some(_) => own,
            None => other,
        };
        let peer = name(&self.peer_listen, "peer_listen", "peer_address");
        let client = name(&self.client_listen, "client_listen", "client_address");
        [
            field(peer, self.peer_listen()),
            field(client, self.client_listen()),
            field("metrics_address", &self.metrics_address()),
        ]
    }
}

/// A field that has an address in it.
struct AddressField {
    /// Its full name: `nodes[0].peer_address`.
    name: String,
    text: String,
    /// The field that says what to listen on, where this one must not.
    listen: String,
}

impl AddressField {
    fn new(position: usize, name: &str, text: &str) -> Self {
        Self {
            name: format!("nodes[{position}].{name}"),
            text: text.to_owned(),
            listen: name.replace("_address", "_listen"),
        }
    }

    fn parse(&self) -> Result<Address, Fault> {
        let address = self.text.parse::<Address>();
        address.map_err(|error| fault(&self.name, error.problem, error.remedy))
    }

    fn parse_with_port(&self) -> Result<Address, Fault> {
        let address = self.parse()?;
        if address.port == 0 {
            let problem = format!("`{}` has port 0, where nobody could find it", self.text);
            return Err(fault(&self.name, problem, "choose a port from 1 to 65535"));
        }
        Ok(address)
    }

    /// An address that others dial must lead to this node from everywhere.
    fn parse_dialled(&self) -> Result<Address, Fault> {
        let address = self.parse_with_port()?;
        if address.is_unspecified() {
            return Err(fault(
                &self.name,
                format!(
                    "`{}` means every address of this machine: one can listen on it, but nobody \
                     can dial it",
                    self.text
                ),
                format!(
                    "write the host name or address at which others reach this node, such as \
                     \"10.0.0.1:{}\", and {} = \"{}\" beside it",
                    address.port, self.listen, self.text
                ),
            ));
        }
        Ok(address)
    }
}

/// Addresses that are taken, each with the name of the field that has it.
#[derive(Default)]
struct Taken(BTreeMap<String, String>);

impl Taken {
    fn add(&mut self, field: &AddressField, address: Address) -> Result<(), Fault> {
        let taken = self.0.insert(address.to_string(), field.name.clone());
        match taken {
            Some(first) if first != field.name => Err(fault(
                &field.name,
                format!("`{address}` is {first} already"),
                "give each listener an address of its own (metrics_address is the peer port + 1 \
                 where nothing is said)",
            )),
            Some(_) | None => Ok(()),
        }
    }
}
