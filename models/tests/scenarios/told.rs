//! What a protocol adds to the language of the scenarios.

use models::world::{Host, Scenario, World};
use models::{Durable, NodeId, Protocol, Specification};

/// A record of a protocol.
pub(crate) type RecordOf<P> = <<P as Protocol>::Durable as Durable>::Record;

/// What there is to see in a world, line by line.
pub(crate) type View<P> = fn(&World<P>) -> Vec<String>;

/// A protocol that scenarios can be written of.
///
/// Words that a script gets wrong end its test: these may panic.
pub(crate) trait Told: Specification {
    /// The command `cluster SIZE OPTIONS`, without the options that every protocol has. Faults
    /// and tries are set by the interpreter.
    fn cluster(size: u16, options: &[&str]) -> Scenario<Self>;

    /// The fields of the command `disk NODE FIELDS`.
    fn disk(fields: &[&str]) -> Self::Durable;

    /// One of the requests of the command `client CLIENT REQUESTS`.
    fn request(client: usize, sequence: usize, words: &str) -> Self::Command;

    /// The timer of that name.
    fn timer(name: &str) -> Self::Timer;

    /// A timer's name.
    fn timer_name(timer: &Self::Timer) -> String;

    /// A record, as it gets to disk.
    fn record(record: &RecordOf<Self>) -> String;

    /// An event, as a node says it to its host.
    fn event(event: &Self::Event) -> String;

    /// A message, in the paper's words.
    fn message(message: &Self::Message) -> String;

    /// What a client asks.
    fn command(command: &Self::Command) -> String;

    /// A host, line by line.
    fn host(id: NodeId, host: &Host<Self>) -> Vec<String>;

    /// A command that shows something of this protocol alone, and changes nothing.
    fn show(what: &str) -> Option<View<Self>>;
}
