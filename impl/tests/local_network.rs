//! Running nodes joined within the process.

use lockstep::runtime::driver::{NodeBuilder, RunningNode, mailbox};
use lockstep::runtime::journal::{MemoryDisk, MemoryJournal};
use lockstep::runtime::transport::LocalNetwork;
use models::NodeId;

use crate::support::tally::{Command, Event, Message, Tally, spans};
use crate::support::watch::{Watch, events, eventually};

fn join(
    network: &LocalNetwork<Message>,
    id: u16,
    count: u16,
) -> (RunningNode<Tally>, Watch<Event>) {
    let (inbox, mailbox) = mailbox(64);
    let transport = network.join(NodeId(id), inbox.clone());
    let (sink, events) = events();
    let node = NodeBuilder::new(Tally::of(id, count), spans, sink)
        .spawn(
            (inbox, mailbox),
            MemoryJournal::new(MemoryDisk::new()),
            transport,
        )
        .expect("starts");
    (node, events)
}

#[test]
fn nodes_hear_each_other_in_spite_of_losses() {
    let network = LocalNetwork::new(3);
    network.set_loss(0.5);
    let (one, _one_events) = join(&network, 1, 2);
    let (_two, two_events) = join(&network, 2, 2);
    one.inbox().ask(Command::Add(5)).expect("taken");
    two_events.wait_for(Event::Heard(NodeId(1), 5));
}

#[test]
fn a_cut_holds_in_one_direction_until_it_is_mended() {
    let network = LocalNetwork::new(3);
    network.cut(NodeId(1), NodeId(2));
    let (one, one_events) = join(&network, 1, 2);
    let (two, two_events) = join(&network, 2, 2);
    one.inbox().ask(Command::Add(5)).expect("taken");
    two.inbox().ask(Command::Add(7)).expect("taken");
    one_events.wait_for(Event::Heard(NodeId(2), 7));
    assert!(!two_events.so_far().contains(&Event::Heard(NodeId(1), 5)));
    network.heal();
    eventually("the other side hears it too", || {
        two_events.so_far().contains(&Event::Heard(NodeId(1), 5))
    });
}
