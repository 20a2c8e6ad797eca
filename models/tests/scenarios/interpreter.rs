//! Runs a scenario's commands.

use models::raft::log::Term;
use models::raft::spec::{Add, Adder, Bounds, Total, request};
use models::raft::{Command, Raft, Timer};
use models::world::{Action, Delivery, Duplicates, Envelope, Faults, Host, Scenario, Step, World};
use models::{Input, NodeId, Specification};

use super::narrator;
use crate::support::bench::{Checked, Msg, disk};

/// The world that a script has made so far.
#[derive(Default)]
pub(crate) struct Interpreter {
    scenario: Option<Scenario<Checked>>,
    world: Option<World<Checked>>,
    quietly: bool,
    lines: Vec<String>,
}

impl Interpreter {
    /// Runs commands, and says what they did.
    pub(crate) fn run_all(&mut self, commands: &[String]) -> String {
        for command in commands {
            self.run(command);
        }
        let mut lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            lines.push("ok".to_owned());
        }
        lines.join("\n") + "\n"
    }

    /// Makes the hosts run a broken step.
    pub(crate) fn sabotage(&mut self, step: Step<Checked>) {
        self.scenario.as_mut().expect("a cluster").step = step;
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.quietly = words.last() == Some(&"quietly");
        match words[..] {
            ["cluster", size, ref options @ ..] => self.cluster(size, options),
            ["disk", node, ref fields @ ..] => self.disk(node, fields),
            ["client", _, ref requests @ ..] => self.client(requests),
            ["fire", node, name] => self.act(&Action::Fire {
                node: id(node),
                timer: timer(name),
            }),
            ["deliver", link, ref how @ ..] => self.each(link, how, Action::Deliver),
            ["drop", link, ref how @ ..] => self.each(link, how, Action::Drop),
            ["duplicate", link] => self.each(link, &[], Action::Duplicate),
            ["crash", node] => self.act(&Action::Crash(id(node))),
            ["crash", node, "within", ref what @ ..] => self.crash_within(id(node), what),
            ["restart", node] => self.act(&Action::Restart(id(node))),
            ["cut", link] => {
                let (from, to) = link.split_once("->").expect("a link");
                let (from, to) = (id(from), id(to));
                self.act(&Action::Cut { from, to });
            }
            ["isolate", node] => self.act(&Action::Isolate(id(node))),
            ["heal"] => self.act(&Action::Heal),
            ["ask", client, node] => self.act(&Action::Ask {
                client: number(client.strip_prefix('c').expect("a client")),
                node: id(node),
            }),
            ["settle", ..] => self.each("*->*", &["all"], Action::Deliver),
            ["state"] => self.show(|world| {
                let hosts = world.all_hosts();
                hosts
                    .flat_map(|(id, host)| narrator::host(id, host))
                    .collect()
            }),
            ["log"] => self.show(logs),
            ["network"] => self.show(|world| {
                let line = |envelope: Envelope<Msg>| {
                    let message = narrator::message(&envelope.message);
                    format!("{} -> {} {message}", envelope.from, envelope.to)
                };
                world.network.in_flight().into_iter().map(line).collect()
            }),
            ["history"] => self.show(|world| {
                let occurrences = world.history.occurrences();
                occurrences.iter().map(narrator::occurrence).collect()
            }),
            _ => panic!("no such command: {line}"),
        }
    }

    /// A world in which anything may happen that a command asks for. Inert messages stay, so
    /// that a story can show how they are ignored.
    fn cluster(&mut self, size: &str, options: &[&str]) {
        let ids: Vec<NodeId> = (0..number(size)).map(NodeId).collect();
        let mut nodes: Vec<Checked> = ids.iter().map(|&id| Raft::new(id, ids.clone())).collect();
        let mut delivery = Delivery::Fifo;
        for option in options {
            match option.split_once('=') {
                None if *option == "bag" => delivery = Delivery::Bag,
                Some(("entries", most)) => {
                    for node in &mut nodes {
                        node.max_append_weight = number(most);
                    }
                }
                _ => panic!("no such option: {option}"),
            }
        }
        let candidates = ids.into_iter().map(|id| (id, Term(u64::MAX))).collect();
        self.scenario = Some(Scenario {
            delivery,
            tries: u8::MAX,
            drop_inert: false,
            faults: Faults {
                drops: u8::MAX,
                duplicates: Duplicates::UpTo(u8::MAX),
                crashes: u8::MAX,
                crash_within_step: true,
                cuts: u8::MAX,
                lost_replies: u8::MAX,
                lost_disks: u8::MAX,
            },
            ..Scenario::new(nodes, Bounds { candidates })
        });
    }

    fn set_up(&mut self) -> &mut Scenario<Checked> {
        assert!(self.world.is_none(), "the world has begun already");
        self.scenario.as_mut().expect("a cluster first")
    }

    fn disk(&mut self, node: &str, fields: &[&str]) {
        let (mut term, mut vote, mut log) = (0, None, Vec::new());
        for field in fields {
            match field.split_once('=') {
                Some(("term", value)) => term = number(value),
                Some(("vote", value)) => vote = Some(id(value).0),
                Some(("log", value)) => log = value.split(',').map(number).collect(),
                _ => panic!("no such field: {field}"),
            }
        }
        let scenario = self.set_up();
        scenario
            .disks
            .resize(scenario.nodes.len(), disk(0, None, &[]));
        scenario.disks[usize::from(id(node).0)] = disk(term, vote, &log);
    }

    fn client(&mut self, requests: &[&str]) {
        let scenario = self.set_up();
        let client = scenario.scripts.len();
        let commands = requests.iter().enumerate().map(|(sequence, words)| {
            let request = request(client, sequence);
            match words.split_once('=') {
                Some(("add", amount)) => Command::<Adder>::Propose {
                    request,
                    command: Add(number(amount)),
                },
                None if *words == "read" => Command::Read {
                    request,
                    query: Total,
                },
                _ => panic!("no such request: {words}"),
            }
        });
        let script = commands.collect();
        scenario.scripts.push(script);
    }

    /// The world, which begins with the first command that looks at it.
    fn world(&mut self) -> (&Scenario<Checked>, &mut World<Checked>) {
        let scenario = self.scenario.as_ref().expect("a cluster first");
        let world = self.world.get_or_insert_with(|| World::initial(scenario));
        (scenario, world)
    }

    /// Makes an action happen and says what it did, and which properties it broke.
    fn act(&mut self, action: &Action<Checked>) {
        let quietly = self.quietly;
        let (scenario, world) = self.world();
        let before = world.clone();
        let applied = world.apply(scenario, action);
        applied.unwrap_or_else(|error| panic!("{action:?}: {error}"));
        let mut lines = narrator::action(scenario, &before, action);
        if quietly {
            let said = |line: String| {
                let what = line.trim().strip_prefix("say")?.trim();
                let by = action.node()?;
                Some(format!("{by}: {what}"))
            };
            lines = lines.into_iter().filter_map(said).collect();
        }
        let laws = Checked::LAWS.iter();
        let broken_laws = laws.filter(|law| !(law.holds)(scenario, &before, action, world));
        lines.extend(broken_laws.map(|law| format!("VIOLATED {}", law.name)));
        let invariants = Checked::INVARIANTS.iter();
        let broken = invariants.filter(|invariant| !(invariant.holds)(scenario, world));
        lines.extend(broken.map(|invariant| format!("VIOLATED {}", invariant.name)));
        self.lines.append(&mut lines);
    }

    /// Does something to the next message of each matching channel; with `all`, until no
    /// message is left to do it to. Channels take turns, so that none gets far ahead.
    fn each(&mut self, link: &str, how: &[&str], make: fn(Envelope<Msg>) -> Action<Checked>) {
        let (from, to) = link.split_once("->").expect("a link");
        let matches = |pattern: &str, node: NodeId| pattern == "*" || id(pattern) == node;
        let all = how.contains(&"all");
        let mut count = 0;
        loop {
            let (scenario, world) = self.world();
            let possible = world.actions(scenario);
            let mut next: Vec<Action<Checked>> = world
                .network
                .in_flight()
                .into_iter()
                .filter(|envelope| matches(from, envelope.from) && matches(to, envelope.to))
                .map(make)
                .filter(|action| possible.contains(action))
                .collect();
            if next.is_empty() {
                break;
            }
            if how.contains(&"last") {
                next.reverse();
            }
            let mut links = Vec::new();
            for action in next {
                let link = link_of(&action);
                if !all && links.contains(&link) {
                    continue;
                }
                let (scenario, world) = self.world();
                if world.actions(scenario).contains(&action) {
                    self.act(&action);
                    links.push(link);
                    count += 1;
                }
            }
            if !all {
                break;
            }
        }
        assert!(count > 0, "no message on {link}");
        if self.quietly {
            let noun = if count == 1 { "message" } else { "messages" };
            self.lines.push(format!("{count} {noun}"));
        }
    }

    fn crash_within(&mut self, node: NodeId, what: &[&str]) {
        let (scenario, world) = self.world();
        let matches = |input: &Input<Checked>| match (what, input) {
            (["deliver", from], Input::Deliver { from: sender, .. }) => id(from) == *sender,
            (["fire", name], Input::Fire(fired)) => timer(name) == *fired,
            _ => false,
        };
        let possible = world.actions(scenario).into_iter().find(|action| {
            matches!(action, Action::CrashWithin { node: crashing, input, .. }
                if *crashing == node && matches(input))
        });
        let action = possible.expect("a step within which to crash");
        self.act(&action);
    }

    fn show(&mut self, lines: fn(&World<Checked>) -> Vec<String>) {
        let (_, world) = self.world();
        let mut lines = lines(world);
        if lines.is_empty() {
            lines.push("(nothing)".to_owned());
        }
        self.lines.append(&mut lines);
    }
}

fn logs(world: &World<Checked>) -> Vec<String> {
    let line = |(id, host): (NodeId, &Host<Checked>)| {
        let commit_index = host.node().map(|node| node.volatile.commit_index);
        let log = narrator::log(&host.durable().log, commit_index.unwrap_or_default());
        format!("{id}  {log}")
    };
    world.all_hosts().map(line).collect()
}

fn link_of(action: &Action<Checked>) -> Option<(NodeId, NodeId)> {
    match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) | Action::Drop(envelope) => {
            Some((envelope.from, envelope.to))
        }
        _ => None,
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn id(text: &str) -> NodeId {
    let digits = text.strip_prefix('n');
    NodeId(number(
        digits.unwrap_or_else(|| panic!("not a node: {text}")),
    ))
}

fn timer(name: &str) -> Timer {
    match name {
        "election" => Timer::Election,
        "heartbeat" => Timer::Heartbeat,
        _ => panic!("no such timer: {name}"),
    }
}
