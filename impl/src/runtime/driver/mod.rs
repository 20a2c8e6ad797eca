//! One node, running: inputs in batches → step → journal → one fsync → effects, in order.
//!
//! ```text
//!  peers, clients        stepper thread          journal thread         releaser thread
//!  ──── Inbox ────▶  step, step, step … ──frames──▶ append, fsync
//!                          │                            │ advance
//!                          └──── effects, held ────▶  [ Gate ] ───────▶ transport, sink
//! ```
//!
//! While the journal syncs one batch, the stepper works on the next (group commit).
//!
//! **The stepper never waits for the disk.** When too much is in flight it takes nothing more
//! from outside, and still fires timers, follows controls and answers diagnostics. Once in a
//! while it hands a clone of the durable state along with the frames; the journal begins a
//! checkpoint at that very place, and a thread of its own writes it while the node goes on.
//!
//! **Timers are the exception**: arming and disarming happens at once, on the stepper's
//! thread. They never leave the node, a crash forgets them together with everything that the
//! step changed, and a step must not see a timer fire that it has just disarmed.
//!
//! **So is what is sent early**, because it promises nothing about the disk: it passes by what is
//! held. While the disk has kept a record waiting for too long it is dropped: a node that can promise
//! nothing any more should look like one that is gone.

mod builder;
mod checkpoint_writer;
mod inbox;
mod journal_writer;
mod node_core;
mod node_handle;
mod recovery;
mod releaser;
mod slow_disk;
mod stepper;

pub use builder::{NodeBuilder, NodeOptions, StartError};
pub(crate) use inbox::mailbox_counting;
pub use inbox::{AskError, Inbox, Mailbox, NodeStopped, mailbox};
pub use node_handle::{Failure, RunningNode, Status};

pub(crate) use self::node_core::{Batch, Core, Outgoing};
pub(crate) use recovery::recall;
pub use recovery::{FormatError, format, format_with};
