//! What a diagram shows of a run, found by taking the run's steps again.

use std::collections::{BTreeMap, VecDeque};

use models::world::{Action, Duplicates, Envelope, Host, Occurrence, Scenario, World};
use models::{Input, NodeId, Specification};

use crate::examine::{self, NO_PANIC, Outcome};

/// A lane of the diagram: the clients that take part come first, then the nodes.
pub(super) type Lane = usize;

/// A run, ready to be drawn.
pub(super) struct Story {
    /// The lanes' names.
    pub(super) lanes: Vec<String>,
    /// What each node is at the start; empty for a client.
    pub(super) roles: Vec<String>,
    /// The steps. Row 0 is the start, where nothing happens but what booting sends.
    pub(super) rows: Vec<Vec<Mark>>,
    /// How it ends, if not just so.
    pub(super) ending: Option<String>,
}

impl Story {
    /// Adds words across all lanes, below what happens in the row.
    pub(super) fn note(&mut self, row: usize, label: &str) {
        if let Some(marks) = self.rows.get_mut(row) {
            marks.push(Mark::Everywhere {
                label: label.to_owned(),
            });
        }
    }
}

/// Something to be drawn in a row.
pub(super) enum Mark {
    /// A message, a request or an answer.
    Arrow {
        from: Lane,
        to: Lane,
        /// The row in which it was sent.
        sent: usize,
        label: String,
        is_lost: bool,
    },
    /// Something that happens on one lane, in words.
    Note { lane: Lane, label: String },
    /// A timer that runs out.
    Timer { lane: Lane, label: String },
    /// A crash.
    Crash { lane: Lane, label: String },
    /// A restart.
    Restart { lane: Lane },
    /// A node that is something else from here on.
    Role { lane: Lane, name: String },
    /// Something that concerns all lanes.
    Everywhere { label: String },
}

/// Tells the run that these actions make, up to its end or the first violation.
pub(super) fn tell<P: Specification>(scenario: &Scenario<P>, actions: &[Action<P>]) -> Story {
    let clients = clients_in(actions);
    let mut story = Story {
        lanes: lane_names(&clients, scenario.nodes.len()),
        roles: Vec::new(),
        rows: vec![Vec::new()],
        ending: None,
    };
    let mut world = match examine::initial(scenario) {
        Ok(world) => world,
        Err(panic) => {
            story.ending = Some(format!("violated at the start: {NO_PANIC}: {panic}"));
            return story;
        }
    };
    let mut teller = Teller {
        scenario,
        clients,
        sent: BTreeMap::new(),
    };
    teller.note_sent(0, &[], world.network.in_flight());
    story.roles = vec![String::new(); teller.clients.len()];
    story.roles.extend(roles(&world));
    let mut broken = examine::broken_invariant(scenario, &world);
    for action in actions {
        if broken.is_some() {
            break;
        }
        let row = story.rows.len();
        let (marks, next) = match examine::take(scenario, &world, action) {
            Outcome::NotEnabled => {
                story.ending = Some(format!("step {row} is not possible here"));
                return story;
            }
            Outcome::Panicked(_) => {
                broken = Some(NO_PANIC);
                (teller.cause(row, &world, action), None)
            }
            Outcome::Next(after, law) => {
                broken = law.or_else(|| examine::broken_invariant(scenario, &after));
                (teller.step(row, &world, action, &after), Some(after))
            }
        };
        story.rows.push(marks);
        world = next.unwrap_or(world);
    }
    story.ending = broken.map(|property| format!("violated: {property}"));
    story
}

/// The clients that ask anything in this run, in order.
fn clients_in<P: Specification>(actions: &[Action<P>]) -> Vec<usize> {
    let asking = actions.iter().filter_map(|action| match action {
        Action::Ask { client, .. } | Action::AskUnheard { client, .. } => Some(*client),
        _ => None,
    });
    let mut clients: Vec<usize> = asking.collect();
    clients.sort_unstable();
    clients.dedup();
    clients
}

fn lane_names(clients: &[usize], nodes: usize) -> Vec<String> {
    let clients = clients.iter().map(|client| format!("client {client}"));
    clients
        .chain((0..nodes).map(|node| format!("n{node}")))
        .collect()
}

/// What each node is: the first word of its label. Empty while it is down.
fn roles<P: Specification>(world: &World<P>) -> Vec<String> {
    let role = |host: &Host<P>| match host {
        Host::Up { node, .. } => {
            let label = P::node_label(node);
            label.split(' ').next().unwrap_or_default().to_owned()
        }
        Host::Down { .. } => String::new(),
    };
    world.all_hosts().map(|(_, host)| role(host)).collect()
}

struct Teller<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    clients: Vec<usize>,
    /// The rows in which the messages under way were sent, the oldest first.
    sent: BTreeMap<Envelope<P::Message>, VecDeque<usize>>,
}

impl<P: Specification> Teller<'_, P> {
    fn node(&self, node: NodeId) -> Lane {
        self.clients.len() + usize::from(node.0)
    }

    fn client(&self, client: usize) -> Lane {
        let position = self.clients.iter().position(|&known| known == client);
        position.unwrap_or_default()
    }

    /// What a step shows: its cause, and what has changed by it.
    fn step(
        &mut self,
        row: usize,
        before: &World<P>,
        action: &Action<P>,
        after: &World<P>,
    ) -> Vec<Mark> {
        let mut marks = self.cause(row, before, action);
        self.follow_messages(row, before, action, after);
        if !matches!(action, Action::Restart(_)) {
            let roles = roles(before).into_iter().zip(roles(after));
            for (lane, (old, new)) in (self.clients.len()..).zip(roles) {
                if old != new && !new.is_empty() {
                    marks.push(Mark::Role { lane, name: new });
                }
            }
        }
        self.answers(row, before, action, after, &mut marks);
        marks
    }

    fn cause(&self, row: usize, before: &World<P>, action: &Action<P>) -> Vec<Mark> {
        match action {
            Action::Deliver(envelope) => vec![self.message(row, envelope, "", false)],
            Action::Duplicate(envelope) => {
                vec![self.message(row, envelope, " (and again later)", false)]
            }
            Action::Drop(envelope) => vec![self.message(row, envelope, " (lost)", true)],
            Action::Fire { node, timer } => vec![Mark::Timer {
                lane: self.node(*node),
                label: format!("{timer:?} timeout"),
            }],
            Action::Ask { client, node } => {
                vec![self.question(row, before, *client, *node, "")]
            }
            Action::AskUnheard { client, node } => {
                vec![self.question(row, before, *client, *node, " (the answer is lost)")]
            }
            Action::Crash(node) => vec![Mark::Crash {
                lane: self.node(*node),
                label: "crashes".to_owned(),
            }],
            Action::CrashWithin { node, input, kept } => {
                self.crash_within(row, *node, input, *kept)
            }
            Action::LoseDisk(node) => vec![Mark::Note {
                lane: self.node(*node),
                label: "its disk is lost".to_owned(),
            }],
            Action::Restart(node) => vec![Mark::Restart {
                lane: self.node(*node),
            }],
            Action::Sync(node) => vec![Mark::Note {
                lane: self.node(*node),
                label: "records reach the disk".to_owned(),
            }],
            Action::Cut { from, to } => vec![Mark::Note {
                lane: self.node(*from),
                label: format!("messages to {to} are cut off"),
            }],
            Action::Isolate(node) => vec![Mark::Note {
                lane: self.node(*node),
                label: "is cut off from all others".to_owned(),
            }],
            Action::Heal => vec![Mark::Everywhere {
                label: "all links are whole again".to_owned(),
            }],
        }
    }

    fn message(
        &self,
        row: usize,
        envelope: &Envelope<P::Message>,
        remark: &str,
        is_lost: bool,
    ) -> Mark {
        let rows = self.sent.get(envelope);
        Mark::Arrow {
            from: self.node(envelope.from),
            to: self.node(envelope.to),
            sent: rows.and_then(VecDeque::front).copied().unwrap_or(row),
            label: P::message_label(&envelope.message) + remark,
            is_lost,
        }
    }

    fn question(
        &self,
        row: usize,
        before: &World<P>,
        client: usize,
        node: NodeId,
        remark: &str,
    ) -> Mark {
        let next = before.clients.get(client).map_or(0, |client| client.next);
        let script = self.scenario.scripts.get(client);
        let command = script.and_then(|script| script.get(next));
        Mark::Arrow {
            from: self.client(client),
            to: self.node(node),
            sent: row,
            label: command.map(P::command_label).unwrap_or_default() + remark,
            is_lost: false,
        }
    }

    fn crash_within(&self, row: usize, node: NodeId, input: &Input<P>, kept: usize) -> Vec<Mark> {
        let lane = self.node(node);
        let mut marks = match input {
            Input::Deliver { from, message } => {
                let envelope = Envelope {
                    from: *from,
                    to: node,
                    message: message.clone(),
                };
                vec![self.message(row, &envelope, "", false)]
            }
            Input::Fire(timer) => vec![Mark::Timer {
                lane,
                label: format!("{timer:?} timeout"),
            }],
            Input::Ask(command) => vec![Mark::Note {
                lane,
                label: P::command_label(command),
            }],
        };
        marks.push(Mark::Crash {
            lane,
            label: format!("crashes within the step; records on disk: {kept}"),
        });
        marks
    }

    /// The requests that the step has answered.
    fn answers(
        &self,
        row: usize,
        before: &World<P>,
        action: &Action<P>,
        after: &World<P>,
        marks: &mut Vec<Mark>,
    ) {
        let Some(node) = action.node() else { return };
        let progress = before.clients.iter().zip(&after.clients).enumerate();
        for (client, _) in progress.filter(|(_, (old, new))| old.next < new.next) {
            let mut occurrences = after.history.occurrences().iter().rev();
            let event = occurrences.find_map(|occurrence| match occurrence {
                Occurrence::Return { client: to, event } if *to == client => Some(event),
                _ => None,
            });
            marks.push(Mark::Arrow {
                from: self.node(node),
                to: self.client(client),
                sent: row,
                label: event.map_or_else(String::new, |event| shallow(&format!("{event:?}"))),
                is_lost: false,
            });
        }
    }

    /// Keeps [`Self::sent`] up to date: forgets what has been taken off the network, and
    /// notes what is new on it.
    fn follow_messages(
        &mut self,
        row: usize,
        before: &World<P>,
        action: &Action<P>,
        after: &World<P>,
    ) {
        let mut remaining = before.network.in_flight();
        if self.scenario.faults.duplicates != Duplicates::Unlimited
            && let Some(taken) = taken_off(action)
            && let Some(position) = remaining.iter().position(|envelope| *envelope == taken)
        {
            remaining.remove(position);
            if let Some(rows) = self.sent.get_mut(&taken) {
                rows.pop_front();
            }
        }
        self.note_sent(row, &remaining, after.network.in_flight());
    }

    fn note_sent(
        &mut self,
        row: usize,
        before: &[Envelope<P::Message>],
        after: Vec<Envelope<P::Message>>,
    ) {
        let mut known: BTreeMap<&Envelope<P::Message>, usize> = BTreeMap::new();
        for envelope in before {
            *known.entry(envelope).or_default() += 1;
        }
        let mut sent: BTreeMap<Envelope<P::Message>, VecDeque<usize>> = BTreeMap::new();
        for envelope in after {
            let left = known.get_mut(&envelope).filter(|left| **left > 0);
            let is_known = left.map(|left| *left -= 1).is_some();
            let old = self.sent.get_mut(&envelope);
            let when = old.filter(|_| is_known).and_then(VecDeque::pop_front);
            sent.entry(envelope)
                .or_default()
                .push_back(when.unwrap_or(row));
        }
        self.sent = sent;
    }
}

/// The message that the action takes off the network.
fn taken_off<P: Specification>(action: &Action<P>) -> Option<Envelope<P::Message>> {
    match action {
        Action::Deliver(envelope) | Action::Drop(envelope) => Some(envelope.clone()),
        Action::CrashWithin {
            node,
            input: Input::Deliver { from, message },
            ..
        } => Some(Envelope {
            from: *from,
            to: *node,
            message: message.clone(),
        }),
        _ => None,
    }
}

/// A value's debug form without the fields that are structures themselves: of an answer,
/// what it answers rather than whom.
fn shallow(debug: &str) -> String {
    let Some((name, fields)) = debug.split_once('{') else {
        return debug.to_owned();
    };
    let mut depth = 0usize;
    let mut shown: Vec<String> = vec![String::new()];
    for c in fields.trim_end_matches([' ', '}']).chars() {
        match c {
            ',' if depth == 0 => shown.push(String::new()),
            _ => shown.last_mut().into_iter().for_each(|field| field.push(c)),
        }
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let plain = shown.iter().filter(|field| !field.contains('{'));
    let plain: Vec<&str> = plain.map(|field| field.trim()).collect();
    format!("{}{}", name, plain.join(", "))
}
