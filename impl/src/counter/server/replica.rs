//! The name under which a disk counts: drawn when the empty disk is set up, and kept with its counts.
//!
//! A name is the node's, and of its disk: where the directory is emptied, the node comes back under
//! another, and what it had counted under the old one stays where others had heard of it.
//!
//! **A later disk has a greater incarnation**, for it is drawn from the time: so whoever hears of two knows
//! which of them is no more, and may fold what was counted under it.

use std::time::{SystemTime, UNIX_EPOCH};

use models::NodeId;
use models::counter::Counter;
use models::counter::g_counter::{Incarnation, ReplicaId};
use models::counter::state::Record;

use crate::counter::config::Config;
use crate::counter::{PROTOCOL, VERSION};
use crate::runtime::identity::{ClusterId, Identity};
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
        incarnation: another_incarnation(0),
    };
    let records = vec![Record::Identified(name)];
    data_directory::format_with::<Counter>(&lock, identity, &records)?;
    tracing::info!(node = %id, %disk, replica = %name, "the data directory was empty: it counts under a new name");
    Ok(())
}

/// The draw after so many that were not late enough moves on by twice as much as the one before, to this
/// power of two at most: milliseconds, and so some forty years in all.
const MOST_DOUBLINGS: u32 = 40;

/// One that this node has never had, and greater than all that it has had: milliseconds since 1970. A clock
/// that was set back since is behind them; so each draw after the first, of those that were not taken, is
/// further ahead of it.
pub(crate) fn another_incarnation(earlier_draws: u32) -> Incarnation {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    let further = match earlier_draws {
        0 => 0,
        draws => 1 << draws.min(MOST_DOUBLINGS),
    };
    Incarnation(now.saturating_add(further))
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

    #[test]
    fn a_clock_that_was_set_back_by_a_year_is_ahead_of_its_past_after_few_draws() {
        let past = another_incarnation(0).0 + 365 * 24 * 60 * 60 * 1000;
        let drawn = (0..).take_while(|&draws| another_incarnation(draws).0 <= past);
        assert!(drawn.count() <= 36);
    }
}
