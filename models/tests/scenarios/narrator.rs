//! Says in words what happens in a world: shorter than a trace does, for these are read by
//! the page, and with all that a step writes and lets out.

use models::raft::log::{Content, Entry, Index, Log};
use models::raft::message::{AppendOutcome, Message, Round, VoteOutcome};
use models::raft::spec::{Add, Adder};
use models::raft::state::{Record, Role};
use models::raft::{Command, Event, Timer};
use models::world::{Action, Delivery, Host, Occurrence, Scenario, World};
use models::{Effect, Input, NodeId, Outbox};

use crate::support::bench::{Checked, Msg};

/// What an action does, line by line: what it is, what gets to disk, what leaves.
///
/// The world does not hand out the records and effects of a step. A step is a function of its
/// arguments, so it is simply taken a second time, on the side.
pub(crate) fn action(
    scenario: &Scenario<Checked>,
    before: &World<Checked>,
    action: &Action<Checked>,
) -> Vec<String> {
    let stepped = |id: NodeId, input: Input<Checked>| step(scenario, before, id, input);
    match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            let input = Input::Deliver {
                from: envelope.from,
                message: envelope.message.clone(),
            };
            let title = delivery(envelope.from, envelope.to, &envelope.message);
            titled(title, stepped(envelope.to, input))
        }
        Action::Drop(envelope) => {
            let title = delivery(envelope.from, envelope.to, &envelope.message);
            vec![format!("{title}: lost")]
        }
        Action::Fire { node, timer } => titled(
            format!("{node} {} timeout", timer_name(*timer)),
            stepped(*node, Input::Fire(*timer)),
        ),
        Action::Ask { client, node } => {
            let command = &scenario.scripts[*client][before.clients[*client].next];
            let title = format!("c{client} asks {node}: {}", self::command(command));
            titled(title, stepped(*node, Input::Ask(command.clone())))
        }
        Action::AskUnheard { client, node } => {
            let command = &scenario.scripts[*client][before.clients[*client].next];
            let title = format!(
                "c{client} asks {node}, and hears no answer: {}",
                self::command(command)
            );
            titled(title, stepped(*node, Input::Ask(command.clone())))
        }
        Action::Crash(node) => vec![format!("{node} crashes")],
        Action::CrashWithin { node, input, .. } => {
            let title = match input {
                Input::Deliver { from, message } => delivery(*from, *node, message),
                Input::Fire(timer) => format!("{node} {} timeout", timer_name(*timer)),
                Input::Ask(command) => format!("{node} asked: {}", self::command(command)),
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

fn delivery(from: NodeId, to: NodeId, message: &Msg) -> String {
    format!("{from} -> {to} {}", self::message(message))
}

/// A step's records and effects.
fn step(
    scenario: &Scenario<Checked>,
    before: &World<Checked>,
    id: NodeId,
    input: Input<Checked>,
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
    let mut lines: Vec<String> = node.take_records().iter().map(record).collect();
    lines.extend(
        out.drain()
            .map(|effect| self::effect(scenario, before, id, &effect)),
    );
    lines
}

fn record(record: &Record<Adder>) -> String {
    match record {
        Record::Ballot { term, voted_for } => match voted_for {
            Some(candidate) => format!("disk   {term}, vote for {candidate}"),
            None => format!("disk   {term}, no vote"),
        },
        Record::Append(entry) => format!("disk   append {}", self::entry(entry)),
        Record::Truncate { from } => format!("disk   truncate from {from}"),
        Record::Snapshot { through } => format!("disk   snapshot through {through}"),
        Record::Discard { through } => format!("disk   discard through {through}"),
        Record::Install(snapshot) => format!(
            "disk   install snapshot {}@{}: {}",
            snapshot.last_included_index(),
            snapshot.last_included_term,
            snapshot.state.machine.0
        ),
    }
}

fn effect(
    scenario: &Scenario<Checked>,
    world: &World<Checked>,
    from: NodeId,
    effect: &Effect<Checked>,
) -> String {
    match effect {
        Effect::Send { to, message } => {
            let is_up = world.host(*to).is_some_and(|host| host.node().is_some());
            let lost = if !world.network.connects(from, *to) {
                ": lost, the link is cut"
            } else if scenario.delivery == Delivery::Fifo && !is_up {
                ": lost, there is no connection"
            } else {
                ""
            };
            format!("send   {to} {}{lost}", self::message(message))
        }
        Effect::Arm(timer) => format!("arm    {}", timer_name(*timer)),
        Effect::Disarm(timer) => format!("disarm {}", timer_name(*timer)),
        Effect::Emit(event) => format!("say    {}", self::event(event)),
    }
}

fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Election => "election",
        Timer::Heartbeat => "heartbeat",
    }
}

/// An event, as a node says it to its host.
pub(crate) fn event(event: &Event<models::raft::spec::Adder>) -> String {
    match event {
        Event::Reply { request, response } => format!("{request} answers {response}"),
        Event::Redirect { request, leader } => match leader {
            Some(leader) => format!("{request} redirected to {leader}"),
            None => format!("{request} redirected, leader unknown"),
        },
        Event::Superseded { request } => format!("{request} superseded"),
        Event::Leading { term } => format!("leading in {term}"),
        Event::Following { term, leader } => match leader {
            Some(leader) => format!("following {leader} in {term}"),
            None => format!("following in {term}, leader unknown"),
        },
    }
}

fn command(command: &Command<models::raft::spec::Adder>) -> String {
    match command {
        Command::Propose { request, command } => format!("{request} add {}", command.0),
        Command::Read { request, .. } => format!("{request} read"),
    }
}

/// A message, in the paper's words.
pub(crate) fn message(message: &Msg) -> String {
    match message {
        Message::RequestVote {
            term,
            last_log_index,
            last_log_term,
        } => format!("RequestVote {term}, last {last_log_index}:{last_log_term}"),
        Message::RequestVoteResponse { term, outcome } => {
            let outcome = match outcome {
                VoteOutcome::Granted => "granted".to_owned(),
                VoteOutcome::Refused => "refused".to_owned(),
                VoteOutcome::StaleTerm { current_term } => format!("stale, it is {current_term}"),
            };
            format!("RequestVoteResponse {term}, {outcome}")
        }
        Message::AppendEntries {
            term,
            prev_log_index,
            prev_log_term,
            entries,
            leader_commit,
            round,
        } => {
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!(
                "AppendEntries {term}, after {prev_log_index}:{prev_log_term} [{}], \
                 commit {leader_commit}{}",
                entries.join(" "),
                self::round(*round),
            )
        }
        Message::AppendEntriesResponse {
            term,
            outcome,
            round,
        } => format!(
            "AppendEntriesResponse {term}, {}{}",
            append_outcome(outcome),
            self::round(*round),
        ),
    }
}

fn append_outcome(outcome: &AppendOutcome) -> String {
    match outcome {
        AppendOutcome::Accepted { match_index } => format!("matches up to {match_index}"),
        AppendOutcome::Conflict {
            prev_log_index,
            conflict_term: Some(term),
            first_index,
        } => format!("conflict at {prev_log_index}: {term} from {first_index} on"),
        AppendOutcome::Conflict {
            prev_log_index,
            conflict_term: None,
            first_index,
        } => format!("conflict at {prev_log_index}: log ends before {first_index}"),
        AppendOutcome::StaleTerm { current_term } => format!("stale, it is {current_term}"),
    }
}

/// Rounds begin with the first read: before it they are not worth a word.
fn round(round: Round) -> String {
    match round {
        Round(0) => String::new(),
        Round(number) => format!(", round {number}"),
    }
}

fn entry(entry: &Entry<Add>) -> String {
    match &entry.content {
        Content::Noop => entry.term.to_string(),
        Content::Command { request, command } => {
            format!("{}:{request}+{}", entry.term, command.0)
        }
    }
}

/// A log, with `|` behind what the node knows to be committed.
pub(crate) fn log(log: &Log<Add>, commit_index: Index) -> String {
    let words = |entries: &[Entry<Add>]| entries.iter().map(entry).collect::<Vec<_>>();
    let mut all = words(log.up_to(commit_index));
    all.push("|".to_owned());
    all.extend(words(log.from(commit_index.next())));
    all.join(" ")
}

/// A host, in one line, and a leader's view of each peer in one more each.
pub(crate) fn host(id: NodeId, host: &Host<Checked>) -> Vec<String> {
    let durable = host.durable();
    let vote = durable
        .voted_for
        .map_or("nobody".to_owned(), |candidate| candidate.to_string());
    let disk = format!(
        "{}, voted for {vote}, log to {}",
        durable.current_term,
        durable.log.last_index()
    );
    let Some(node) = host.node() else {
        return vec![format!("{id} down: {disk}")];
    };
    let volatile = &node.volatile;
    let (role, mut peers) = (role(&volatile.role), Vec::new());
    if let Role::Leader(leadership) = &volatile.role {
        peers.extend(leadership.progress.iter().map(|(peer, progress)| {
            format!(
                "  {peer}: next {}, match {}",
                progress.next_index, progress.match_index
            )
        }));
        peers.extend(leadership.reads.iter().map(|read| {
            format!(
                "  {} waits for index {} and round {}",
                read.request, read.read_index, read.round.0
            )
        }));
    }
    let mut lines = vec![format!(
        "{id} {role}: {disk}, commit {}, total {}",
        volatile.commit_index, volatile.applied.machine.0
    )];
    lines.append(&mut peers);
    lines
}

fn role(role: &Role<models::raft::spec::Adder>) -> String {
    match role {
        Role::Follower { leader: None } => "follower".to_owned(),
        Role::Follower {
            leader: Some(leader),
        } => format!("follower of {leader}"),
        Role::Candidate { votes } => {
            let votes: Vec<String> = votes.iter().map(NodeId::to_string).collect();
            format!("candidate with {}", votes.join(" "))
        }
        Role::Leader(_) => "leader".to_owned(),
    }
}

/// What a client did or saw.
pub(crate) fn occurrence(occurrence: &Occurrence<Event<models::raft::spec::Adder>>) -> String {
    match occurrence {
        Occurrence::Invoke { client } => format!("c{client} asks"),
        Occurrence::Return { client, event } => format!("c{client} hears: {}", self::event(event)),
    }
}
