//! Takes what SWIM says of members to the connections and to the replica.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use models::NodeId;
use models::counter::{Command, Counter};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::counter::Message;
use crate::counter::config::Exchange;
use crate::counter::swim::detector::Change;
use crate::runtime::driver::{AskError, Inbox};
use crate::runtime::transport::tcp::{Known, Peers};

/// The pause before a replica is told again that was busy.
const PAUSE: Duration = Duration::from_millis(5);

/// One who follows the membership.
pub(crate) struct Follower {
    pub(crate) inbox: Inbox<Counter>,
    pub(crate) peers: Peers<Message>,
    pub(crate) exchange: Exchange,
    /// Set before the replica is told to leave: what it owes is then sent at once.
    pub(crate) leaving: Arc<AtomicBool>,
    pub(crate) up: BTreeSet<NodeId>,
    /// The nodes that are gone for good, by the operator's word.
    pub(crate) departed: Vec<NodeId>,
}

impl Follower {
    /// Follows the `changes`, and tells the replica to leave when that is wanted. Changes are told in
    /// order, however busy the replica is.
    pub(crate) async fn run(
        mut self,
        mut changes: mpsc::UnboundedReceiver<Change>,
        mut leave: mpsc::Receiver<()>,
    ) {
        for &node in &self.departed {
            if self.tell(Command::PeerDeparted(node)).await == Err(AskError::Stopped) {
                return;
            }
        }
        loop {
            let told = tokio::select! {
                change = changes.recv() => match change {
                    Some(change) => self.follow(change).await,
                    None => return,
                },
                Some(()) = leave.recv() => self.leave().await,
            };
            if told == Err(AskError::Stopped) {
                return;
            }
        }
    }

    async fn follow(&mut self, change: Change) -> Result<(), AskError> {
        match change {
            Change::Up(member) => {
                self.connect(&member.node, member.peer_address);
                self.up.insert(member.node);
                self.tell(Command::PeerJoined(member.node)).await
            }
            // Its disk may be another one, and know nothing.
            Change::Replaced(member) if self.up.contains(&member.node) => {
                self.connect(&member.node, member.peer_address);
                self.tell(Command::PeerJoined(member.node)).await
            }
            Change::Replaced(_) => Ok(()),
            Change::Down(member) => {
                self.up.remove(&member.node);
                let told = self.tell(Command::PeerGone(member.node)).await;
                self.peers.remove(member.node);
                told
            }
        }
    }

    fn connect(&self, peer: &NodeId, address: String) {
        if self.exchanges() {
            // Whatever its disk: one that was emptied is another replica, and welcome.
            self.peers.set_known(*peer, Known::default());
            self.peers.set(*peer, address);
        }
    }

    /// Has the replica owe everybody everything, and say when it owes nothing any more. Where increments
    /// travel by push-pull alone the timer that sends what is owed is one that never runs out: so all
    /// members go and come once more, which starts it anew.
    async fn leave(&self) -> Result<(), AskError> {
        self.leaving.store(true, Ordering::Relaxed);
        let anew = match self.exchange {
            Exchange::PushPull => self.up.clone(),
            _ => BTreeSet::new(),
        };
        for &peer in &anew {
            self.tell(Command::PeerGone(peer)).await?;
        }
        self.tell(Command::Leave).await?;
        for &peer in &anew {
            self.tell(Command::PeerJoined(peer)).await?;
        }
        Ok(())
    }

    async fn tell(&self, command: Command) -> Result<(), AskError> {
        if !self.exchanges() {
            return Ok(());
        }
        loop {
            match self.inbox.ask(command.clone()) {
                Err(AskError::Busy) => sleep(PAUSE).await,
                told => return told,
            }
        }
    }

    fn exchanges(&self) -> bool {
        matches!(self.exchange, Exchange::PushPull | Exchange::Deltas)
    }
}
