//! Scenarios of Bully. Time is the script's: it may let a timer run out before a message
//! arrives, as in a world whose delays are not bounded.
//!
//! - `cluster 3 [ranks=1,1,0]`: nodes of these ranks; by default all have the same, and ids decide
//! - `client c0 who who`
//! - `fire n0 okay`, `fire n0 coordinator`, `fire n0 leader`, `fire n0 heartbeat`

use models::NodeId;
use models::bully::election::{self, Standing};
use models::bully::spec::ranked;
use models::bully::{Bully, Command, Event, Message, Timer};
use models::world::{Host, Scenario, Timing};

use super::interpreter::number;
use super::told::{Told, View};

scenarios! { models::bully::Bully<u8>, "bully":
    a_cold_start
    a_leader_fails
    a_lower_node_recovers
    a_lost_coordinator
    a_recovery_race
    a_leader_that_fails_while_it_answers
    two_leaders
}

impl Told for Bully<u8> {
    fn cluster(size: u16, options: &[&str]) -> Scenario<Self> {
        let mut ranks = vec![0; usize::from(size)];
        for option in options {
            match option.split_once('=') {
                Some(("ranks", listed)) => ranks = listed.split(',').map(number).collect(),
                _ => panic!("no such option: {option}"),
            }
        }
        assert_eq!(ranks.len(), usize::from(size), "a rank for each node");
        Scenario {
            timing: Timing::Any,
            ..ranked(&ranks, u64::MAX)
        }
    }

    fn disk(fields: &[&str]) {
        panic!("Bully has nothing on disk: {fields:?}");
    }

    fn request(_: usize, _: usize, words: &str) -> Command {
        match words {
            "who" => Command::WhoLeads,
            _ => panic!("no such request: {words}"),
        }
    }

    fn timer(name: &str) -> Timer {
        match name {
            "okay" => Timer::Election(election::Timer::Okay),
            "coordinator" => Timer::Election(election::Timer::Coordinator),
            "leader" => Timer::Leader,
            "heartbeat" => Timer::Heartbeat,
            _ => panic!("no such timer: {name}"),
        }
    }

    fn timer_name(timer: &Timer) -> String {
        let name = match timer {
            Timer::Election(election::Timer::Okay) => "okay",
            Timer::Election(election::Timer::Coordinator) => "coordinator",
            Timer::Leader => "leader",
            Timer::Heartbeat => "heartbeat",
        };
        name.to_owned()
    }

    fn record((): &()) -> String {
        unreachable!("Bully writes nothing")
    }

    fn event(event: &Event) -> String {
        match event {
            Event::Election(election::Event::Electing { election }) => {
                format!("electing in {election}")
            }
            Event::Election(election::Event::Elected { leader, election }) => {
                format!("{leader} leads since {election}")
            }
            Event::Leads { leader, election } => match leader {
                Some(leader) => format!("answer: {leader} leads since {election}"),
                None => format!("answer: electing in {election}"),
            },
        }
    }

    fn message(message: &Message<u8>) -> String {
        match message {
            Message::Election { election, .. } => format!("Election {election}"),
            Message::Okay { election } => format!("Okay {election}"),
            Message::Coordinator { election, .. } => format!("Coordinator {election}"),
            Message::Stale { election, current } => {
                format!("Stale {election}, it is {current}")
            }
        }
    }

    fn command(command: &Command) -> String {
        match command {
            Command::WhoLeads => "who leads?".to_owned(),
        }
    }

    fn host(id: NodeId, host: &Host<Self>) -> Vec<String> {
        let Some(node) = host.node() else {
            return vec![format!("{id} down")];
        };
        let state = &node.volatile;
        let standing = match state.standing {
            Standing::Candidate => "stands".to_owned(),
            Standing::Waiting if state.highest.id == id => "waits for a higher one".to_owned(),
            Standing::Waiting => format!("waits for {}", state.highest.id),
            Standing::Elected { leader } if leader == id => "leads".to_owned(),
            Standing::Elected { leader } => format!("follows {leader}"),
        };
        vec![format!("{id} {standing}: {}", state.election)]
    }

    fn show(_: &str) -> Option<View<Self>> {
        None
    }
}
