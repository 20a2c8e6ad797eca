//! Scenarios of Raft.
//!
//! - `cluster 3 [bag] [entries=1] [joining=1] [guarded]`: so many entries at most in one append; the
//!   last so many nodes are to join, the others have founded the cluster; `guarded`: with PreVote
//!   and CheckQuorum; `window=2`: so many appends under way to a peer; `snapshot-after=2
//!   trailing=1`: a snapshot each two entries, and one entry stays behind it; `chunk=4`: so many
//!   bytes at most in a chunk of one; `sessions=1`: so many sessions are kept
//! - `disk n0 term=3 vote=n1 log=1,1,2`: entries by their terms
//! - `client c0 add=5 read read-here learn=n3 promote=n3 remove=n0 replace=n0->n3 transfer=n1`
//! - `fire n0 election`, `fire n0 heartbeat`, `fire n0 lease`, `fire n0 transfer`,
//!   `fire n0 snapshot`
//! - `log`: shows every log, with `|` behind what the node knows to be committed, and `..3:` for
//!   what is discarded

use std::collections::BTreeSet;

use models::raft::log::{Content, Entry, Index, Log, Term};
use models::raft::membership::Change;
use models::raft::message::{AppendOutcome, InstallOutcome, Message, Round, VoteOutcome};
use models::raft::progress::Mode;
use models::raft::snapshot::Snapshot;
use models::raft::spec::{Add, Adder, Bounds, Total, request};
use models::raft::state::{Persistent, Record, Role};
use models::raft::{Command, Event, Raft, Timer, TransferOutcome};
use models::world::{Host, Scenario, World};
use models::{NodeId, Protocol};

use super::interpreter::{Interpreter, id, number};
use super::told::{Told, View};
use crate::support::bench;

scenarios! { models::raft::Raft<models::raft::spec::Adder>, "raft":
    a_first_election
    a_split_vote
    figure_7
    figure_8_d
    figure_8_e
    a_deposed_leader
    a_vote_survives_a_crash
    a_retried_command
    a_read_waits_for_its_round
    a_read_is_redirected
    conflict_hints
    a_late_append
    a_partition
    a_replacement
    a_leader_removes_itself
    a_partitioned_node_returns
    a_transfer
    a_transfer_is_given_up
    a_follower_behind_a_compacted_log
    a_crash_amid_a_snapshot
    a_snapshot_of_another_leader
    a_session_expires
    a_follower_read
}

impl Told for Raft<Adder> {
    fn cluster(size: u16, options: &[&str]) -> Scenario<Self> {
        let ids: Vec<NodeId> = (0..size).map(NodeId).collect();
        let mut nodes: Vec<Self> = ids.iter().map(|&id| Raft::new(id, ids.clone())).collect();
        for option in options {
            match option.split_once('=') {
                None if *option == "guarded" => {
                    for node in &mut nodes {
                        node.pre_vote = true;
                        node.check_quorum = true;
                    }
                }
                Some(("entries", most)) => {
                    for node in &mut nodes {
                        node.max_append_weight = number(most);
                    }
                }
                Some(("joining", count)) => {
                    let founders = nodes.len() - number::<usize>(count);
                    for (node, &id) in nodes.iter_mut().zip(&ids) {
                        *node = if usize::from(id.0) < founders {
                            Raft::new(id, ids[..founders].iter().copied())
                        } else {
                            Raft::joining(id)
                        };
                    }
                }
                Some(option) => nodes.iter_mut().for_each(|node| tune(node, option)),
                None => panic!("no such option: {option}"),
            }
        }
        let candidates = ids.into_iter().map(|id| (id, Term(u64::MAX))).collect();
        let in_time = BTreeSet::new();
        Scenario::new(
            nodes,
            Bounds {
                candidates,
                in_time,
            },
        )
    }

    fn disk(fields: &[&str]) -> Persistent<Adder> {
        let (mut term, mut vote, mut log) = (0, None, Vec::new());
        for field in fields {
            match field.split_once('=') {
                Some(("term", value)) => term = number(value),
                Some(("vote", value)) => vote = Some(id(value).0),
                Some(("log", value)) => log = value.split(',').map(number).collect(),
                _ => panic!("no such field: {field}"),
            }
        }
        bench::disk(term, vote, &log)
    }

    fn request(client: usize, sequence: usize, words: &str) -> Command<Adder> {
        let request = request(client, sequence);
        match words.split_once('=') {
            Some(("add", amount)) => Command::Propose {
                request,
                command: Add(number(amount)),
            },
            Some(("transfer", to)) => Command::TransferLeadership {
                request,
                to: id(to),
            },
            None if words == "read" => Command::Read {
                request,
                query: Total,
            },
            None if words == "read-here" => Command::ReadHere {
                request,
                query: Total,
            },
            Some((change, nodes)) => Command::ChangeMembership {
                request,
                change: self::change(change, nodes),
            },
            None => panic!("no such request: {words}"),
        }
    }

    fn timer(name: &str) -> Timer {
        match name {
            "election" => Timer::Election,
            "heartbeat" => Timer::Heartbeat,
            "lease" => Timer::Lease,
            "transfer" => Timer::Transfer,
            "snapshot" => Timer::Snapshot,
            _ => panic!("no such timer: {name}"),
        }
    }

    fn timer_name(timer: &Timer) -> String {
        match timer {
            Timer::Election => "election".to_owned(),
            Timer::Heartbeat => "heartbeat".to_owned(),
            Timer::Lease => "lease".to_owned(),
            Timer::Transfer => "transfer".to_owned(),
            Timer::Snapshot => "snapshot".to_owned(),
        }
    }

    fn record(record: &Record<Adder>) -> String {
        match record {
            Record::Initialize { configuration } => format!("belongs to {configuration}"),
            Record::Halt(contradiction) => format!("halt: {contradiction:?}"),
            Record::Ballot { term, voted_for } => match voted_for {
                Some(candidate) => format!("{term}, vote for {candidate}"),
                None => format!("{term}, no vote"),
            },
            Record::Append(entry) => format!("append {}", entry_words(entry)),
            Record::Truncate { from } => format!("truncate from {from}"),
            Record::Snapshot { through } => format!("snapshot through {through}"),
            Record::Discard { through } => format!("discard through {through}"),
            Record::Install(snapshot) => format!(
                "install snapshot to {}:{}, total {}",
                snapshot.last_included_index(),
                snapshot.last_included_term,
                snapshot.state.machine.0
            ),
        }
    }

    fn event(event: &Event<Adder>) -> String {
        match event {
            Event::Reply { request, response } => format!("{request} answers {response}"),
            Event::Redirect { request, leader } => match leader {
                Some(leader) => format!("{request} redirected to {leader}"),
                None => format!("{request} redirected, leader unknown"),
            },
            Event::Superseded { request } => format!("{request} superseded"),
            Event::Overloaded { request } => format!("{request} refused: too many reads wait"),
            Event::SessionExpired { request, since } => {
                format!("{request}: session expired, anew since {}", since.0)
            }
            Event::Changed {
                request,
                configuration,
            } => format!("{request} done, members {configuration}"),
            Event::Refused { request, refusal } => format!("{request} refused: {refusal:?}"),
            Event::MembershipChanged { configuration } => format!("members {configuration}"),
            Event::MembershipCommitted { configuration } => {
                format!("members {configuration}, committed")
            }
            Event::Retired => "retired".to_owned(),
            Event::Halted { contradiction } => format!("halted: {contradiction:?}"),
            Event::Denied {
                follower,
                acknowledged,
                prev_log_index,
            } => format!("{follower} denies {prev_log_index}, having acknowledged {acknowledged}"),
            Event::Transfer { request, outcome } => match outcome {
                TransferOutcome::SteppedDown => format!("{request}: leads no longer"),
                TransferOutcome::TimedOut => format!("{request}: timed out, leads on"),
                TransferOutcome::AlreadyLeads => format!("{request}: leads already"),
                TransferOutcome::NotAVoter => format!("{request}: that is no voter"),
                TransferOutcome::Busy { to } => format!("{request}: busy, {to} is to lead"),
            },
            Event::Installed {
                last_included_index,
            } => format!("installed to {last_included_index}"),
            Event::Leading { term } => format!("leading in {term}"),
            Event::Following { term, leader } => match leader {
                Some(leader) => format!("following {leader} in {term}"),
                None => format!("following in {term}, leader unknown"),
            },
        }
    }

    fn message(message: &Message<Add>) -> String {
        match message {
            Message::RequestVote {
                term,
                last_log_index,
                last_log_term,
                leadership_transfer,
            } => {
                let by_leave = if *leadership_transfer {
                    ", by leave of the leader"
                } else {
                    ""
                };
                format!("RequestVote {term}, last {last_log_index}:{last_log_term}{by_leave}")
            }
            Message::TimeoutNow { term } => format!("TimeoutNow {term}"),
            Message::ReadIndex { term, request } => format!("ReadIndex {term} for {request}"),
            Message::ReadIndexResponse { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. } => message.to_string(),
            Message::RequestVoteResponse { term, outcome } => {
                format!("RequestVoteResponse {term}, {}", vote_outcome(*outcome))
            }
            Message::PreVote {
                term,
                last_log_index,
                last_log_term,
            } => format!("PreVote {term}, last {last_log_index}:{last_log_term}"),
            Message::PreVoteResponse { term, outcome } => {
                format!("PreVoteResponse {term}, {}", vote_outcome(*outcome))
            }
            Message::AppendEntries {
                term,
                prev_log_index,
                prev_log_term,
                entries,
                leader_commit,
                checksum: _,
                round,
            } => {
                let entries: Vec<String> = entries.iter().map(entry_words).collect();
                format!(
                    "AppendEntries {term}, after {prev_log_index}:{prev_log_term} [{}], \
                     commit {leader_commit}{}",
                    entries.join(" "),
                    round_words(*round),
                )
            }
            Message::AppendEntriesResponse {
                term,
                outcome,
                round,
            } => format!(
                "AppendEntriesResponse {term}, {}{}",
                append_outcome(outcome),
                round_words(*round),
            ),
            Message::InstallSnapshot {
                term,
                last_included_index,
                last_included_term,
                offset,
                data,
                done,
                round,
            } => format!(
                "InstallSnapshot {term}, to {last_included_index}:{last_included_term}, \
                 bytes {offset}..{}{}{}",
                offset + data.len() as u64,
                if *done { ", done" } else { "" },
                round_words(*round),
            ),
            Message::InstallSnapshotResponse {
                term,
                outcome,
                round,
            } => format!(
                "InstallSnapshotResponse {term}, {}{}",
                install_outcome(outcome),
                round_words(*round),
            ),
        }
    }

    fn command(command: &Command<Adder>) -> String {
        match command {
            Command::Propose { request, command } => format!("{request} add {}", command.0),
            Command::Read { request, .. } => format!("{request} read"),
            Command::ReadHere { request, .. } => format!("{request} read here"),
            Command::ChangeMembership { request, change } => format!("{request} {change}"),
            Command::TransferLeadership { request, to } => format!("{request} transfer to {to}"),
        }
    }

    fn host(id: NodeId, host: &Host<Self>) -> Vec<String> {
        let durable = host.durable();
        let vote = durable
            .voted_for
            .map_or("nobody".to_owned(), |candidate| candidate.to_string());
        let disk = format!(
            "{}, voted for {vote}, {}log to {}",
            durable.current_term,
            snapshot_words(&durable.snapshot),
            durable.log.last_index()
        );
        let Some(node) = host.node() else {
            return vec![format!("{id} down: {disk}")];
        };
        let volatile = &node.volatile;
        let (role, mut peers) = (role_words(&volatile.role), Vec::new());
        if let Role::Leader(leadership) = &volatile.role {
            peers.extend(leadership.progress.iter().map(|(peer, progress)| {
                format!(
                    "  {peer}: next {}, match {}{}",
                    progress.next_index,
                    progress.match_index,
                    mode_words(&progress.mode)
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

    fn show(what: &str) -> Option<View<Self>> {
        (what == "log").then_some(logs)
    }
}

fn change(name: &str, nodes: &str) -> Change {
    match name {
        "learn" => Change::add(id(nodes)),
        "promote" => Change::promote(id(nodes)),
        "remove" => Change::remove(id(nodes)),
        "replace" => {
            let (old, new) = nodes.split_once("->").expect("old->new");
            Change::replace(id(old), id(new))
        }
        _ => panic!("no such change: {name}"),
    }
}

fn vote_outcome(outcome: VoteOutcome) -> String {
    match outcome {
        VoteOutcome::Granted => "granted".to_owned(),
        VoteOutcome::Refused => "refused".to_owned(),
        VoteOutcome::StaleTerm { current_term } => format!("stale, it is {current_term}"),
    }
}

/// Sets one of a node's tunables.
fn tune(node: &mut Raft<Adder>, (name, value): (&str, &str)) {
    match name {
        "entries" => node.max_append_weight = number(value),
        "window" => node.window.appends = number(value),
        "snapshot-after" => node.compaction.snapshot_after = number(value),
        "trailing" => node.compaction.trailing = number(value),
        "chunk" => node.max_chunk_bytes = number(value),
        "sessions" => node.max_sessions = number(value),
        _ => panic!("no such option: {name}={value}"),
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

fn install_outcome(outcome: &InstallOutcome) -> String {
    match outcome {
        InstallOutcome::Installed {
            last_included_index,
        } => format!("has all to {last_included_index}"),
        InstallOutcome::Received {
            last_included_index,
            sent,
            received,
        } => format!("has {received} of {sent} bytes of the one to {last_included_index}"),
        InstallOutcome::StaleTerm { current_term } => format!("stale, it is {current_term}"),
    }
}

/// Rounds begin with the first read: before it they are not worth a word.
fn round_words(round: Round) -> String {
    match round {
        Round(0) => String::new(),
        Round(number) => format!(", round {number}"),
    }
}

fn entry_words(entry: &Entry<Add>) -> String {
    match &entry.content {
        Content::Noop => entry.term.to_string(),
        Content::ExpireSessions { through } => {
            format!("{}:expire through {}", entry.term, through.0)
        }
        Content::Command { request, command } => {
            format!("{}:{request}+{}", entry.term, command.0)
        }
        Content::Configuration(configuration) => format!("{}:{configuration}", entry.term),
    }
}

/// A log, with `|` behind what the node knows to be committed. Of what is discarded it says how
/// far it went.
fn log_words(log: &Log<Add>, commit_index: Index) -> String {
    let words = |entries: &[Entry<Add>]| entries.iter().map(entry_words).collect::<Vec<_>>();
    let mut all = Vec::new();
    if log.base_index() > Index(0) {
        all.push(format!("..{}:", log.base_index()));
    }
    all.extend(words(log.up_to(commit_index)));
    all.push("|".to_owned());
    all.extend(words(log.from(commit_index.next())));
    all.join(" ")
}

fn snapshot_words(snapshot: &Snapshot<Adder>) -> String {
    match snapshot.last_included() {
        (Index(0), _) => String::new(),
        (index, term) => format!("snapshot to {index}:{term}, "),
    }
}

/// How a peer is sent to, where it is not the usual way.
fn mode_words(mode: &Mode) -> String {
    match mode {
        Mode::Probe => ", probing".to_owned(),
        Mode::Replicate { .. } => String::new(),
        Mode::Snapshot(transfer) => format!(
            ", sent {} bytes of the snapshot to {}",
            transfer.offset, transfer.last_included_index
        ),
    }
}

fn role_words(role: &Role<Adder>) -> String {
    match role {
        Role::Follower { leader: None } => "follower".to_owned(),
        Role::Follower {
            leader: Some(leader),
        } => format!("follower of {leader}"),
        Role::PreCandidate { votes } => format!("pre-candidate with {}", node_words(votes)),
        Role::Candidate { votes } => format!("candidate with {}", node_words(votes)),
        Role::Leader(_) => "leader".to_owned(),
    }
}

fn node_words(ids: &BTreeSet<NodeId>) -> String {
    let ids: Vec<String> = ids.iter().map(NodeId::to_string).collect();
    ids.join(" ")
}

fn logs(world: &World<Raft<Adder>>) -> Vec<String> {
    let line = |(id, host): (NodeId, &Host<Raft<Adder>>)| {
        let commit_index = host.node().map(|node| node.volatile.commit_index);
        let log = log_words(&host.durable().log, commit_index.unwrap_or_default());
        format!("{id}  {log}")
    };
    world.all_hosts().map(line).collect()
}

/// The evaluation is not vacuous: a vote that a broken step gives away twice is reported.
#[test]
fn a_broken_property_is_reported() {
    let mut interpreter = Interpreter::<Raft<Adder>>::default();
    interpreter.run_all(&["cluster 3".to_owned()]);
    interpreter.sabotage(|raft, node, input, out| {
        if let models::Input::Deliver { .. } = input {
            let term = node.durable().current_term;
            node.write(Record::Ballot {
                term,
                voted_for: None,
            });
        }
        raft.step(node, input, out);
    });
    let lines = |commands: &[&str], interpreter: &mut Interpreter<Raft<Adder>>| {
        let commands: Vec<String> = commands.iter().map(|&line| line.to_owned()).collect();
        interpreter.run_all(&commands)
    };
    let honest = lines(
        &["fire n0 election", "fire n1 election", "deliver n0->n2"],
        &mut interpreter,
    );
    assert!(!honest.contains("VIOLATED"), "{honest}");
    let broken = lines(&["deliver n1->n2"], &mut interpreter);
    assert!(broken.contains("VIOLATED One vote per term"), "{broken}");
}
