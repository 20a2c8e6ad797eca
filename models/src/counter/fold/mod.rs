//! Forgetting components: those of dead names are summed up into one number, by agreement, so that
//! what a replica remembers is bounded by the nodes that there are and not by the disks that they
//! have had.
//!
//! **When a name is dead.** When its node counts under a later one: incarnations rise. Or when the
//! node is gone for good, by its host's word ([`PeerDeparted`](super::Command::PeerDeparted)).
//!
//! **Why it takes agreement.** No replica knows by itself that it knows all of a dead name: another may
//! know more, and more may be under way. Summed up by one alone, its component would be counted again
//! by whoever hears of it from another.
//!
//! **How it is agreed.** By the synod of Lamport, "The Part-Time Parliament" (1998) and "Paxos Made
//! Simple" (2001), an instance for each fold. Its quorum is everybody that is not gone for good, for
//! whatever anybody knows is to be in the sum. An acceptor's promise says what it knows of the dead
//! names, and freezes that: it learns no more of them. The fold has the most that was promised of
//! each, and so at least what anybody has counted in. What nobody knew is lost, as is what a lost disk
//! has told nobody.
//!
//! **How it is spread.** As a part of the [`Counts`](super::counts::Counts), in deltas and by push-pull.
//! Folds are a chain, and who hears of a later one drops the components that it covers.
//!
//! **What waits for what.** No fold is agreed on while a node cannot be reached that is not gone for
//! good. Nothing that clients ask waits for it. But between its promise and the fold a replica may not
//! know all of a dead name that others do.
//!
//! **What is remembered in the end.** For each node one component of the total, that of its present
//! name; one entry in [`Folded::names`](folded::Folded::names), if any of its names was ever folded;
//! and of a node that is gone for good that entry alone. In buckets of the window components stay
//! until these expire.
//!
//! **What has to be so.** All nodes have the same list of nodes, before one that is new to it is
//! started. A number is not used again when its node is gone for good. Of the disks on which a fold is
//! agreed, one outlives the agreement: its last word is known until all have learned the fold. What
//! was sent to a node does not arrive when its disk has been lost since: where that may be, a count that
//! all have left out of a fold could come back to a disk that has forgotten its promise. (Over
//! connections it is so.) And a disk that is set back to an earlier state has forgotten promises: it is
//! to be emptied instead.

pub mod ballot;
pub mod dead;
pub mod folded;
pub mod message;
pub mod state;

mod acceptor;
mod electors;
mod proposer;
