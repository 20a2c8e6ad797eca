//! The name under which a disk counts: drawn when the empty disk is set up, and kept with its counts.
//!
//! A name is the node's, and of its disk: where the directory is emptied, the node comes back under
//! another, and what it had counted under the old one stays where others had heard of it.

use std::io;

use models::counter::Counter;
use models::counter::g_counter::{Incarnation, ReplicaId};
use models::counter::state::Record;
use models::{DiskId, NodeId};

use crate::counter::config::Config;
use crate::counter::{PROTOCOL, VERSION};
use crate::runtime::identity::{ClusterId, Identity, random_disk};
use crate::runtime::journal::DirectoryLock;
use crate::service::config::ServiceConfig;
use crate::service::data_directory::{self, Held};
use crate::service::founding::ServiceProtocol;
use crate::service::founding::bootstrap::blank_identity;
use crate::service::start::StartError;

impl ServiceProtocol for Counter {
    const PROTOCOL: &'static str = PROTOCOL;
    const VERSION: u32 = VERSION;
}

/// Sets the data directory of node `id` up, if it is empty. Nobody is asked: a counter's node owes
/// nobody anything that it could have forgotten.
///
/// # Errors
/// When the directory is of no use.
pub fn set_up(config: &Config, id: NodeId) -> Result<(), StartError> {
    let lock = DirectoryLock::acquire(&config.node(id)?.data_directory)?;
    let Held::Nothing(disk) = data_directory::examine(&lock)? else {
        return Ok(());
    };
    let cluster = config.cluster_config();
    let identity = Identity {
        cluster_id: ClusterId::of_name(&cluster.cluster),
        ..blank_identity::<Counter>(&cluster, id, disk)
    };
    let name = ReplicaId {
        data_centre: config.data_centre(id),
        node: id,
        incarnation: incarnation_of(disk),
    };
    let records = vec![Record::Identified(name)];
    data_directory::format_with::<Counter>(&lock, identity, &records)?;
    tracing::info!(node = %id, %disk, replica = %name, "the data directory was empty: it counts under a new name");
    Ok(())
}

/// As unlike any other as its disk is.
fn incarnation_of(disk: DiskId) -> Incarnation {
    let mut first = [0; 8];
    first.copy_from_slice(&disk.0[..8]);
    Incarnation(u64::from_be_bytes(first))
}

/// One that this node has never had: for a disk whose name others know more of than it does itself.
///
/// # Errors
/// When the operating system gives no random bytes.
pub(crate) fn another_incarnation() -> io::Result<Incarnation> {
    random_disk().map(incarnation_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::config::NodeConfig;

    #[test]
    fn a_directory_gets_a_name_once_and_another_when_it_has_been_emptied() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("1");
        let node = NodeConfig::new(NodeId(1), "a:1", "a:2", &directory);
        let config = Config::of("blue", vec![node]);
        let held = || {
            set_up(&config, NodeId(1)).expect("set up");
            let lock = DirectoryLock::acquire(&directory).expect("free");
            data_directory::examine(&lock).expect("readable")
        };
        let first = held();
        assert!(matches!(first, Held::Journal(_)), "{first:?}");
        assert_eq!(held(), first);
        std::fs::remove_dir_all(&directory).expect("emptied");
        assert_ne!(held(), first);
    }
}
