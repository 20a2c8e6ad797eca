//! Says in words what happens in a world: shorter than a trace does, for these are read by
//! the page, and with all that a step writes and lets out.

use models::world::{Action, Delivery, Host, Occurrence, Scenario, World};
use models::{Effect, Input, NodeId, Outbox};

use super::told::{RecordOf, Told};

/// What an action does, line by line: what it is, what gets to disk, what leaves.
///
/// The world does not hand out the records and effects of a step. A step is a function of its
/// arguments, so it is simply taken a second time, on the side.
pub(crate) fn action<P: Told>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
) -> Vec<String> {
    let stepped = |id: NodeId, input: Input<P>| step(scenario, before, id, input);
    match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            let input = Input::Deliver {
                from: envelope.from,
                message: envelope.message.clone(),
            };
            let title = delivery::<P>(envelope.from, envelope.to, &envelope.message);
            titled(title, stepped(envelope.to, input))
        }
        Action::Drop(envelope) => {
            let title = delivery::<P>(envelope.from, envelope.to, &envelope.message);
            vec![format!("{title}: lost")]
        }
        Action::Fire { node, timer } => titled(
            format!("{node} {} timeout", P::timer_name(timer)),
            stepped(*node, Input::Fire(timer.clone())),
        ),
        Action::Ask { client, node } => {
            let command = &scenario.scripts[*client][before.clients[*client].next];
            let title = format!("c{client} asks {node}: {}", P::command(command));
            titled(title, stepped(*node, Input::Ask(command.clone())))
        }
        Action::AskUnheard { client, node } => {
            let command = &scenario.scripts[*client][before.clients[*client].next];
            let title = format!(
                "c{client} asks {node}, and hears no answer: {}",
                P::command(command)
            );
            titled(title, stepped(*node, Input::Ask(command.clone())))
        }
        Action::Crash(node) => vec![format!("{node} crashes")],
        Action::CrashWithin { node, input, .. } => {
            let title = match input {
                Input::Deliver { from, message } => delivery::<P>(*from, *node, message),
                Input::Fire(timer) => format!("{node} {} timeout", P::timer_name(timer)),
                Input::Ask(command) => format!("{node} asked: {}", P::command(command)),
            };
            let mut lines = stepped(*node, input.clone());
            lines.retain(|line| line.starts_with("disk"));
            lines.push("crash before anything leaves".to_owned());
            titled(title, lines)
        }
        Action::LoseDisk(node) => vec![format!("{node}'s disk is lost")],
        Action::Restart(node) => {
            let mut out = Outbox::new();
            if let Some(host) = before.host(*node) {
                let protocol = &scenario.nodes[usize::from(node.0)];
                (scenario.boot)(protocol, host.durable(), &mut out);
            }
            let effects = out
                .drain()
                .map(|effect| self::effect(scenario, before, *node, &effect));
            titled(format!("{node} starts"), effects.collect())
        }
        Action::Sync(node) => vec![format!("{node}'s disk catches up")],
        Action::Cut { from, to } => vec![format!("{from} -> {to} is cut")],
        Action::Isolate(node) => vec![format!("{node} is cut off")],
        Action::Heal => vec!["all links are whole".to_owned()],
    }
}

fn titled(title: String, lines: Vec<String>) -> Vec<String> {
    let lines = lines.into_iter().map(|line| format!("  {line}"));
    std::iter::once(title).chain(lines).collect()
}

fn delivery<P: Told>(from: NodeId, to: NodeId, message: &P::Message) -> String {
    format!("{from} -> {to} {}", P::message(message))
}

/// A step's records and effects.
fn step<P: Told>(
    scenario: &Scenario<P>,
    before: &World<P>,
    id: NodeId,
    input: Input<P>,
) -> Vec<String> {
    let Some(node) = before.host(id).and_then(Host::node) else {
        return Vec::new();
    };
    let mut node = node.clone();
    let mut out = Outbox::new();
    (scenario.step)(
        &scenario.nodes[usize::from(id.0)],
        &mut node,
        input,
        &mut out,
    );
    let mut lines: Vec<String> = node.take_records().iter().map(disk::<P>).collect();
    lines.extend(
        out.drain()
            .map(|effect| self::effect(scenario, before, id, &effect)),
    );
    lines
}

fn effect<P: Told>(
    scenario: &Scenario<P>,
    world: &World<P>,
    from: NodeId,
    effect: &Effect<P>,
) -> String {
    match effect {
        Effect::Send { to, message } | Effect::SendEarly { to, message } => {
            let is_up = world.host(*to).is_some_and(|host| host.node().is_some());
            let lost = if !world.network.connects(from, *to) {
                ": lost, the link is cut"
            } else if scenario.delivery == Delivery::Fifo && !is_up {
                ": lost, there is no connection"
            } else {
                ""
            };
            format!("send   {to} {}{lost}", P::message(message))
        }
        Effect::Arm(timer) => format!("arm    {}", P::timer_name(timer)),
        Effect::Disarm(timer) => format!("disarm {}", P::timer_name(timer)),
        Effect::Emit(event) => format!("say    {}", P::event(event)),
    }
}

fn disk<P: Told>(record: &RecordOf<P>) -> String {
    format!("disk   {}", P::record(record))
}

/// What a client did or saw.
pub(crate) fn occurrence<P: Told>(occurrence: &Occurrence<P::Event>) -> String {
    match occurrence {
        Occurrence::Invoke { client } => format!("c{client} asks"),
        Occurrence::Return { client, event } => format!("c{client} hears: {}", P::event(event)),
    }
}
