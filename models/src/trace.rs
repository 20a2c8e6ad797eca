//! Traces: lists of actions, readable and replayable.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::protocol::Input;
use crate::specification::Specification;
use crate::world::{Action, Host, Scenario, World};

/// What an action does, in one line: `n0 → n1: RequestVote t1 last=0@t0`.
pub fn describe<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
) -> String {
    match action {
        Action::Deliver(envelope) => {
            let message = P::message_label(&envelope.message);
            format!("{} → {}: {message}", envelope.from, envelope.to)
        }
        Action::Duplicate(envelope) => {
            let message = P::message_label(&envelope.message);
            format!(
                "{} → {} (and again later): {message}",
                envelope.from, envelope.to
            )
        }
        Action::Drop(envelope) => {
            let message = P::message_label(&envelope.message);
            format!("lost, {} → {}: {message}", envelope.from, envelope.to)
        }
        Action::Fire { node, timer } => format!("{node}: {timer:?} timeout"),
        Action::Ask { client, node } => {
            let command = question(scenario, before, *client);
            format!("client {client} asks {node}: {command}")
        }
        Action::AskUnheard { client, node } => {
            let command = question(scenario, before, *client);
            format!("client {client} asks {node} and hears no answer: {command}")
        }
        Action::Crash(node) => format!("{node} crashes"),
        Action::CrashWithin { node, input, kept } => {
            let input = match input {
                Input::Deliver { from, message } => {
                    format!("{} from {from}", P::message_label(message))
                }
                Input::Fire(timer) => format!("{timer:?} timeout"),
                Input::Ask(command) => P::command_label(command),
            };
            format!("{node} crashes while it handles {input}: records on disk: {kept}")
        }
        Action::LoseDisk(node) => format!("{node}'s disk is lost, and replaced by an empty one"),
        Action::Restart(node) => format!("{node} restarts"),
        Action::Sync(node) => format!("{node}'s records reach the disk"),
        Action::Cut { from, to } => format!("messages {from} → {to} are cut off"),
        Action::Isolate(node) => format!("{node} is cut off from all others"),
        Action::Heal => "all links are whole again".to_string(),
    }
}

/// What the client asks next, in words.
fn question<P: Specification>(scenario: &Scenario<P>, before: &World<P>, client: usize) -> String {
    let next = before.clients.get(client).map_or(0, |client| client.next);
    let script = scenario.scripts.get(client);
    let command = script.and_then(|script| script.get(next));
    command.map(P::command_label).unwrap_or_default()
}

/// The hosts in one line each.
pub fn hosts<P: Specification>(world: &World<P>) -> Vec<String> {
    let line = |(id, host): (_, &Host<P>)| match host {
        Host::Up { node, .. } => format!("{id}: {}", P::node_label(node)),
        Host::Down { .. } => format!("{id}: down"),
    };
    world.all_hosts().map(line).collect()
}
