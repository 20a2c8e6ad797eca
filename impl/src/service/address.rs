//! `host:port`, as a cluster file and a command line name it. Checked before anything is dialled:
//! what is no address at all would otherwise look like a node that is down.

use serde::{Deserialize, Serialize};

use crate::service::config::NodeConfig;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A longer address is none: the longest host name has 253 bytes, and few have a quarter of that.
pub const MAX_ADDRESS_BYTES: usize = 255;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub host: Host,
    /// The port. 0 means "any", and only to whoever listens.
    pub port: u16,
}

/// The host of an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name, to be resolved anew with each connection.
    Name(String),
    /// An IP address; in text, one of version 6 stands in brackets.
    Ip(IpAddr),
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct AddressError {
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl Address {
    /// Whether the host means "every address of this machine", which nobody can dial from
    /// another one.
    pub fn is_unspecified(&self) -> bool {
        match &self.host {
            Host::Name(_) => false,
            Host::Ip(IpAddr::V4(ip)) => ip.is_unspecified(),
            Host::Ip(IpAddr::V6(ip)) => {
                ip.is_unspecified() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified())
            }
        }
    }

    /// The same host with the port after this one: any port after 0 and after the last.
    #[must_use]
    pub fn next_port(self) -> Self {
        let port = match self.port {
            0 => 0,
            port => port.wrapping_add(1),
        };
        Self { port, ..self }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(error(
                format!("an address of {} bytes is too long", text.len()),
                format!("write at most {MAX_ADDRESS_BYTES}"),
            ));
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(url(text, rest));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            // Before the port is split off: the last group of an IPv6 address is none.
            return Err(error(
                format!("`{text}` is an IPv6 address without a port"),
                format!("write it in brackets and add the port: \"[{text}]:7500\""),
            ));
        }
        let Some((host, port)) = split(text) else {
            return Err(no_port(text));
        };
        let host = parse_host(text, host, port)?;
        let port = port.parse().map_err(|_| {
            error(
                format!("`{text}` has the port `{port}`, which is no number from 0 to 65535"),
                "write host:port, such as \"10.0.0.1:7400\"",
            )
        })?;
        Ok(Self { host, port })
    }
}

/// Host and port. The colons of an IPv6 address in brackets separate nothing.
fn split(text: &str) -> Option<(&str, &str)> {
    let end_of_host = text.rfind(']').unwrap_or(0);
    let colon = text[end_of_host..].rfind(':')? + end_of_host;
    Some((&text[..colon], &text[colon + 1..]))
}

fn parse_host(text: &str, host: &str, port: &str) -> Result<Host, AddressError> {
    let example = "write host:port, such as \"10.0.0.1:7400\"";
    if host.is_empty() {
        return Err(error(format!("`{text}` has no host"), example));
    }
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return inner
            .parse()
            .map(|ip| Host::Ip(IpAddr::V6(ip)))
            .map_err(|_| {
                error(
                    format!("`{text}` has no IPv6 address in its brackets"),
                    "write [address]:port, such as \"[fd00::1]:7400\"",
                )
            });
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err(error(
            format!("`{text}` has an IPv6 address without brackets"),
            format!("write \"[{host}]:{port}\""),
        ));
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    let fits_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if !host.bytes().all(fits_a_name) {
        return Err(error(format!("`{text}` has no host name in it"), example));
    }
    let last_label = host.trim_end_matches('.').rsplit('.').next();
    // No top-level domain is a number, so this was meant as an IPv4 address.
    if last_label.is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit())) {
        let problem = format!("`{text}` has the host `{host}`, which is no IPv4 address");
        return Err(error(problem, example));
    }
    Ok(Host::Name(host.to_owned()))
}

fn url(text: &str, rest: &str) -> AddressError {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let problem = format!("`{text}` is a URL");
    match authority.parse::<Address>() {
        Ok(address) => error(problem, format!("write \"{address}\"")),
        Err(_) if authority.is_empty() => error(problem, "write host:port"),
        Err(_) => error(
            problem,
            format!("write host:port, such as \"{authority}:7500\""),
        ),
    }
}

fn no_port(text: &str) -> AddressError {
    if text.is_empty() {
        return error("it is empty", "write host:port, such as \"10.0.0.1:7400\"");
    }
    error(
        format!("`{text}` has no port"),
        format!("write host:port, such as \"{text}:7500\""),
    )
}

fn error(problem: impl Into<String>, remedy: impl Into<String>) -> AddressError {
    AddressError {
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

/// Where a node is to be reached: what the others are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// `host:port` for the other nodes.
    pub peer: String,
    /// `host:port` for clients.
    pub client: String,
}

impl Addresses {
    /// Those that a configuration file gives.
    pub fn of(node: &NodeConfig) -> Self {
        Self {
            peer: node.peer_address.clone(),
            client: node.client_address.clone(),
        }
    }

    /// Whether others can dial them.
    ///
    /// # Errors
    /// In words, with the field that is at fault.
    pub fn check(&self) -> Result<(), String> {
        for (field, text) in [
            ("peer_address", &self.peer),
            ("client_address", &self.client),
        ] {
            let address = text.parse::<Address>();
            let address = address.map_err(|error| format!("{field}: {error}"))?;
            if address.is_unspecified() || address.port == 0 {
                return Err(format!(
                    "{field}: `{text}` is nowhere that another node could reach; write the address \
                     and the port at which the others reach it"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ip_addresses_are_read_and_written_the_same() {
        for text in [
            "10.0.0.1:7400",
            "localhost:0",
            "node-1.example.:65535",
            "[::1]:7400",
            "[fd00::1]:1",
            "kv_1:80",
        ] {
            let address: Address = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_answered_with_what_to_write() {
        for (text, said) in [
            ("", "it is empty; write host:port"),
            ("http://a:7500", "is a URL; write \"a:7500\""),
            ("http://a:7500/kv/x", "is a URL; write \"a:7500\""),
            ("http://a", "is a URL; write host:port, such as \"a:7500\""),
            ("https://", "is a URL; write host:port"),
            ("a", "`a` has no port; write host:port, such as \"a:7500\""),
            (
                "[::1]",
                "`[::1]` has no port; write host:port, such as \"[::1]:7500\"",
            ),
            (
                "::1",
                "without a port; write it in brackets and add the port: \"[::1]:7500\"",
            ),
            ("fd00::1:2::7400", "has no host name in it"),
            (
                "1:2:3:4:5:6:7:8:7400",
                "without brackets; write \"[1:2:3:4:5:6:7:8]:7400\"",
            ),
            ("[nonsense]:1", "no IPv6 address in its brackets"),
            (":7400", "`:7400` has no host"),
            ("a:", "the port ``"),
            ("a:74000", "the port `74000`, which is no number"),
            ("a:http", "the port `http`"),
            ("10.0.0.256:1", "which is no IPv4 address"),
            ("a/b:1", "has no host name in it"),
            ("user@a:1", "has no host name in it"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_that_is_too_long_is_none() {
        let of = |bytes: usize| format!("{}:7400", "a".repeat(bytes - 5)).parse::<Address>();
        assert!(of(MAX_ADDRESS_BYTES).is_ok());
        let error = of(MAX_ADDRESS_BYTES + 1).expect_err("too long").to_string();
        assert_eq!(
            error,
            "an address of 256 bytes is too long; write at most 255"
        );
    }

    #[test]
    fn every_way_to_say_all_addresses_of_this_machine_is_known() {
        let is_unspecified = |text: &str| text.parse::<Address>().expect(text).is_unspecified();
        for text in ["0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1", "[0:0::0]:1"] {
            assert!(is_unspecified(text), "{text}");
        }
        for text in ["0.0.0.1:1", "[::1]:1", "localhost:1"] {
            assert!(!is_unspecified(text), "{text}");
        }
    }

    #[test]
    fn no_port_comes_after_the_last() {
        let next = |text: &str| text.parse::<Address>().expect(text).next_port().to_string();
        assert_eq!(next("[::]:7500"), "[::]:7501");
        assert_eq!(next("a:65535"), "a:0");
        assert_eq!(next("a:0"), "a:0");
    }
}
