//! Runs a scenario's commands.

use models::world::{Action, Delivery, Duplicates, Envelope, Faults, Scenario, Step, World};
use models::{Input, NodeId};

use super::narrator;
use super::told::Told;

/// The world that a script has made so far.
pub(crate) struct Interpreter<P: Told> {
    scenario: Option<Scenario<P>>,
    world: Option<World<P>>,
    quietly: bool,
    lines: Vec<String>,
}

impl<P: Told> Default for Interpreter<P> {
    fn default() -> Self {
        Self {
            scenario: None,
            world: None,
            quietly: false,
            lines: Vec::new(),
        }
    }
}

impl<P: Told> Interpreter<P> {
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
    pub(crate) fn sabotage(&mut self, step: Step<P>) {
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
                timer: P::timer(name),
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
            ["ask", name, node] => self.act(&Action::Ask {
                client: client(name),
                node: id(node),
            }),
            ["ask", name, node, "unheard"] => self.act(&Action::AskUnheard {
                client: client(name),
                node: id(node),
            }),
            ["settle", ..] => self.each("*->*", &["all"], Action::Deliver),
            ["state"] => self.show(|world| {
                let hosts = world.all_hosts();
                hosts.flat_map(|(id, host)| P::host(id, host)).collect()
            }),
            ["network"] => self.show(|world| {
                let line = |envelope: Envelope<P::Message>| {
                    let message = P::message(&envelope.message);
                    format!("{} -> {} {message}", envelope.from, envelope.to)
                };
                world.network.in_flight().into_iter().map(line).collect()
            }),
            ["history"] => self.show(|world| {
                let occurrences = world.history.occurrences();
                occurrences.iter().map(narrator::occurrence::<P>).collect()
            }),
            [what] => {
                let view = P::show(what);
                self.show(view.unwrap_or_else(|| panic!("no such command: {line}")));
            }
            _ => panic!("no such command: {line}"),
        }
    }

    /// A world in which anything may happen that a command asks for. Inert messages stay, so
    /// that a story can show how they are ignored.
    fn cluster(&mut self, size: &str, options: &[&str]) {
        let mut own = options.to_vec();
        own.retain(|option| *option != "bag");
        let delivery = if own.len() < options.len() {
            Delivery::Bag
        } else {
            Delivery::Fifo
        };
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
            ..P::cluster(number(size), &own)
        });
    }

    fn set_up(&mut self) -> &mut Scenario<P> {
        assert!(self.world.is_none(), "the world has begun already");
        self.scenario.as_mut().expect("a cluster first")
    }

    fn disk(&mut self, node: &str, fields: &[&str]) {
        let scenario = self.set_up();
        let nodes = scenario.nodes.len();
        scenario.disks.resize_with(nodes, Default::default);
        scenario.disks[usize::from(id(node).0)] = P::disk(fields);
    }

    fn client(&mut self, requests: &[&str]) {
        let scenario = self.set_up();
        let client = scenario.scripts.len();
        let requests = requests.iter().enumerate();
        let script = requests.map(|(sequence, words)| P::request(client, sequence, words));
        scenario.scripts.push(script.collect());
    }

    /// The world, which begins with the first command that looks at it.
    fn world(&mut self) -> (&Scenario<P>, &mut World<P>) {
        let scenario = self.scenario.as_ref().expect("a cluster first");
        let world = self.world.get_or_insert_with(|| World::initial(scenario));
        (scenario, world)
    }

    /// Makes an action happen and says what it did, and which properties it broke.
    fn act(&mut self, action: &Action<P>) {
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
        let laws = P::LAWS.iter();
        let broken_laws = laws.filter(|law| !(law.holds)(scenario, &before, action, world));
        lines.extend(broken_laws.map(|law| format!("VIOLATED {}", law.name)));
        let invariants = P::INVARIANTS.iter();
        let broken = invariants.filter(|invariant| !(invariant.holds)(scenario, world));
        lines.extend(broken.map(|invariant| format!("VIOLATED {}", invariant.name)));
        self.lines.append(&mut lines);
    }

    /// Does something to the next message of each matching channel; with `all`, until no
    /// message is left to do it to. Channels take turns, so that none gets far ahead.
    fn each(&mut self, link: &str, how: &[&str], make: fn(Envelope<P::Message>) -> Action<P>) {
        let (from, to) = link.split_once("->").expect("a link");
        let matches = |pattern: &str, node: NodeId| pattern == "*" || id(pattern) == node;
        let all = how.contains(&"all");
        let mut count = 0;
        loop {
            let (scenario, world) = self.world();
            let possible = world.actions(scenario);
            let mut next: Vec<Action<P>> = world
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
        let matches = |input: &Input<P>| match (what, input) {
            (["deliver", from], Input::Deliver { from: sender, .. }) => id(from) == *sender,
            (["fire", name], Input::Fire(fired)) => P::timer(name) == *fired,
            _ => false,
        };
        let possible = world.actions(scenario).into_iter().find(|action| {
            matches!(action, Action::CrashWithin { node: crashing, input, .. }
                if *crashing == node && matches(input))
        });
        let action = possible.expect("a step within which to crash");
        self.act(&action);
    }

    fn show(&mut self, lines: fn(&World<P>) -> Vec<String>) {
        let (_, world) = self.world();
        let mut lines = lines(world);
        if lines.is_empty() {
            lines.push("(nothing)".to_owned());
        }
        self.lines.append(&mut lines);
    }
}

fn link_of<P: Told>(action: &Action<P>) -> Option<(NodeId, NodeId)> {
    match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) | Action::Drop(envelope) => {
            Some((envelope.from, envelope.to))
        }
        _ => None,
    }
}

/// A number of the script.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("not a number: {text}"))
}

/// The client of that name, `c0`.
fn client(text: &str) -> usize {
    let digits = text.strip_prefix('c');
    number(digits.unwrap_or_else(|| panic!("not a client: {text}")))
}

/// The node of that name, `n0`.
pub(super) fn id(text: &str) -> NodeId {
    let digits = text.strip_prefix('n');
    NodeId(number(
        digits.unwrap_or_else(|| panic!("not a node: {text}")),
    ))
}
