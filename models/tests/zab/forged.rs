//! Messages that no right node sends are ignored, and never the end of a node.

use models::raft::spec::Adder;
use models::world::{Action, World};
use models::zab::history::{Recency, Snapshot};
use models::zab::message::{AckEpoch, Message};
use models::zab::spec::{self, Oracle};
use models::zab::zxid::{Epoch, Zxid};
use models::{Input, NodeId, Outbox, Protocol};

type Msg = Message<Adder, Oracle>;

fn absurd(epoch: Epoch, zxid: Zxid) -> Vec<Msg> {
    let recency = Recency {
        current_epoch: epoch,
        last_zxid: zxid,
    };
    let snapshot = Snapshot {
        zxid,
        ..Snapshot::default()
    };
    vec![
        Message::FollowerInfo {
            accepted_epoch: epoch,
        },
        Message::NewEpoch { epoch },
        Message::AckEpoch {
            epoch,
            ack: AckEpoch {
                recency,
                promises: true,
            },
        },
        Message::Trunc { epoch, to: zxid },
        Message::Snap { epoch, snapshot },
        Message::Diff {
            epoch,
            after: zxid,
            transactions: Vec::new(),
        },
        Message::NewLeader {
            epoch,
            last_zxid: zxid,
        },
        Message::AckNewLeader {
            epoch,
            last_zxid: zxid,
        },
        Message::UpToDate {
            epoch,
            committed: zxid,
        },
        Message::Ack { zxid },
        Message::Commit { zxid },
        Message::Ping {
            epoch,
            last_zxid: zxid,
            committed: zxid,
        },
        Message::Pong {
            epoch,
            last_zxid: zxid,
        },
    ]
}

#[test]
fn absurd_numbers_and_strangers_are_borne() {
    let scenario = spec::broadcast(3, &[1], 1);
    let mut world = World::initial(&scenario);
    let node = NodeId(0);
    super::act(&scenario, &mut world, &Action::Ask { client: 0, node });
    let numbers = [0, 1, 2, u64::MAX - 1, u64::MAX];
    for (id, node) in world.running() {
        let zab = &scenario.nodes[usize::from(id.0)];
        for (epoch, counter) in numbers.iter().flat_map(|&a| numbers.map(|b| (a, b))) {
            let zxid = Zxid {
                epoch: Epoch(epoch),
                counter,
            };
            for message in absurd(Epoch(epoch), zxid) {
                for from in [0, 1, 2, 9, u16::MAX].map(NodeId) {
                    let mut node = node.clone();
                    let message = message.clone();
                    let mut out = Outbox::new();
                    zab.step(&mut node, Input::Deliver { from, message }, &mut out);
                    let is_stranger = from.0 > 2 || from == id;
                    assert!(!is_stranger || node.take_records().is_empty());
                    assert!(node.durable().accepted_epoch < Epoch(1 << 41));
                }
            }
        }
    }
}
