//! Watching what leaves a node.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use lockstep::runtime::transport::Transport;
use models::NodeId;

use super::tally::{Event, Message};

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough to be rather sure that something does not happen.
const SUSPENSE: Duration = Duration::from_millis(60);

/// The receiving end of a node's events, or of its messages.
pub(crate) struct Watch<T>(Receiver<T>);

pub(crate) fn watch<T>() -> (Sender<T>, Watch<T>) {
    let (sender, receiver) = mpsc::channel();
    (sender, Watch(receiver))
}

/// An event sink, and what arrives in it.
pub(crate) fn events() -> (impl FnMut(Event) + Send + 'static, Watch<Event>) {
    let (sender, watch) = watch();
    // A test that is over does not care for what still happens.
    (move |event| drop(sender.send(event)), watch)
}

impl<T: PartialEq + std::fmt::Debug> Watch<T> {
    /// Waits for the next one and asserts that it is `expected`.
    pub(crate) fn expect(&self, expected: T) {
        assert_eq!(self.0.recv_timeout(PATIENCE).as_ref(), Ok(&expected));
    }

    /// Waits for `wanted`, whatever comes before it.
    pub(crate) fn wait_for(&self, wanted: T) {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(next) = self
            .0
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            if next == wanted {
                return;
            }
            seen.push(next);
        }
        panic!("{wanted:?} did not come, but {seen:?}");
    }

    /// Asserts that nothing comes for a while.
    pub(crate) fn expect_nothing(&self) {
        let came = self.0.recv_timeout(SUSPENSE);
        assert!(came.is_err(), "{came:?} came");
    }

    /// What is there already.
    pub(crate) fn so_far(&self) -> Vec<T> {
        self.0.try_iter().collect()
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A transport that shows what is sent.
pub(crate) struct Shown(pub(crate) Sender<(NodeId, Message)>);

impl Transport<Message> for Shown {
    fn send(&mut self, to: NodeId, message: Message) {
        // A test that is over does not care for what still happens.
        drop(self.0.send((to, message)));
    }
}
