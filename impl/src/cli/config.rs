//! `lockstep config`: cluster files, checked and made.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use lockstep::heartbeat;
use lockstep::service::config::{ServiceKind, service_of};

use super::cluster_file::load_cluster;

/// The first node's port for the others. The next node's is so far from it that there is room between
/// for clients and metrics.
const FIRST_PORT: u16 = 7400;
const PORT_STEP: u16 = 10;
const CLIENT_OFFSET: u16 = 5;

/// Checks a cluster file, or writes one
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says whether a cluster file is right in every respect, and of which service it is. Starts
    /// nothing
    ///
    /// Exit code: 0 when it is; 2 when it is not, with the line or the field, and the remedy.
    Check {
        /// The cluster file
        file: PathBuf,
    },
    /// Writes a commented cluster file, of nodes on this machine, that works as it stands
    Init {
        /// The service
        service: Service,
        /// How many nodes
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
        nodes: u16,
        /// The name of the cluster
        #[arg(long, default_value = "example")]
        cluster: String,
        /// Where to write; a file that is there is left alone
        #[arg(long, value_name = "FILE", default_value = "cluster.toml")]
        file: PathBuf,
        /// With certificates instead of in the clear: make them with `lockstep certs`
        #[arg(long)]
        tls: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Service {
    /// The key-value store, over Raft
    Kv,
    /// The replicated file system, over ZAB with Bully
    Files,
    /// Distributed locks, over Maekawa's algorithm: so many members, and an orchestrator beside them
    Locks,
    /// A counter that asks nobody, over SWIM's membership
    Counter,
    /// Members that know of each other, of which so many vote: at most 7
    Heartbeat,
}

/// Checks or writes.
pub(super) fn run(args: ConfigArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        ConfigCommand::Check { file } => check(&file),
        ConfigCommand::Init {
            service,
            nodes,
            cluster,
            file,
            tls,
        } => {
            let text = match service {
                Service::Heartbeat => heartbeat_text(nodes, &cluster, tls)?,
                _ => text(service, nodes, &cluster, tls),
            };
            let mut options = OpenOptions::new();
            let opened = options.write(true).create_new(true).open(&file);
            opened
                .and_then(|mut opened| opened.write_all(text.as_bytes()))
                .with_context(|| {
                    format!(
                        "{}: nothing was written; --file names another place",
                        file.display()
                    )
                })?;
            println!("{} is written", file.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let service = service_of(file)?;
    if service == ServiceKind::Heartbeat {
        let cluster = heartbeat::ClusterConfig::load(file)?;
        let voters: Vec<String> = cluster.voters.iter().map(u16::to_string).collect();
        println!(
            "{}: a cluster of {service}, `{}`, of the voters {}",
            file.display(),
            cluster.name,
            voters.join(", ")
        );
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = load_cluster(file)?;
    let nodes: Vec<String> = { cluster.nodes.iter() }
        .map(|node| node.id.0.to_string())
        .collect();
    println!(
        "{}: a cluster of {service}, `{}`, of the nodes {}",
        file.display(),
        cluster.cluster,
        nodes.join(", ")
    );
    for node in &cluster.nodes {
        cluster.security.credentials(node.id).with_context(|| {
            format!(
                "the file is right, and node {} could not start with it",
                node.id.0
            )
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The text of a file.
fn text(service: Service, nodes: u16, cluster: &str, tls: bool) -> String {
    let kind = match service {
        Service::Kv => ServiceKind::Kv,
        Service::Files => ServiceKind::Files,
        Service::Locks => ServiceKind::Locks,
        Service::Counter => ServiceKind::Counter,
        Service::Heartbeat => ServiceKind::Heartbeat,
    };
    let (first, beside) = match service {
        Service::Kv | Service::Files | Service::Counter | Service::Heartbeat => (1, ""),
        Service::Locks => (0, "\n#   lockstep orchestrator --config cluster.toml"),
    };
    let mut text = format!(
        "# A cluster of {nodes} nodes on this machine, the same file for all of them and for clients. Start\n\
         # each in a terminal of its own:\n\
         #{beside}\n\
         #   lockstep node --config cluster.toml --id 1\n\
         \n\
         service = \"{kind}\"\n\
         cluster = {}                   # nodes of a cluster of another name are refused\n\n",
        toml_string(cluster)
    );
    // Nobody founds a counter.
    if !matches!(service, Service::Counter) {
        text.push_str(FOUNDING);
    }
    text.push_str(if tls { WITH_TLS } else { IN_THE_CLEAR });
    if tls && matches!(service, Service::Counter) {
        text.push_str(GOSSIP_KEY);
    }
    text.push('\n');
    text.push_str(match service {
        Service::Kv => KV,
        Service::Files => FILES,
        Service::Locks => LOCKS,
        Service::Counter => COUNTER,
        // Its file is of another form.
        Service::Heartbeat => "",
    });
    for id in first..=nodes {
        let ports = (id - first) * PORT_STEP;
        let peer = FIRST_PORT + ports;
        let client = peer + CLIENT_OFFSET;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[nodes]]\n\
             id = {id}                                # never to be given to another node\n\
             peer_address = \"127.0.0.1:{peer}\"      # where the other nodes reach it, and clients: an\n\
             client_address = \"127.0.0.1:{client}\"    # address or a name; IPv6 in brackets\n\
             # peer_listen = \"0.0.0.0:{peer}\"       # what to listen on, where that differs\n\
             # client_listen = \"0.0.0.0:{client}\"\n\
             # metrics_address = \"127.0.0.1:{}\"   # peer port + 1, if nothing is said\n\
             data_directory = \"data/{id}\"           # relative to this file\n\
             # journal = \"files\"                  # or \"database\": how the journal is kept there\n\
             # record = \"recordings\"              # a folder: what the node does is recorded there\n",
            peer + 1
        );
        match service {
            Service::Kv => text.push_str(MEMBER),
            Service::Counter => text.push_str(DATA_CENTRE),
            Service::Files | Service::Locks | Service::Heartbeat => {}
        }
    }
    text
}

/// The text of a file of members, `voters` of which vote.
fn heartbeat_text(voters: u16, cluster: &str, tls: bool) -> anyhow::Result<String> {
    if usize::from(voters) > heartbeat::MAX_VOTERS {
        bail!(
            "--nodes: {voters} voters are more than {}; nothing was written. Of other members the file says \
             nothing: there may be any number",
            heartbeat::MAX_VOTERS
        );
    }
    let ids: Vec<String> = (1..=voters).map(|id| id.to_string()).collect();
    let (security, key) = match tls {
        true => (WITH_TLS, GOSSIP_KEY),
        false => (IN_THE_CLEAR, ""),
    };
    Ok(format!(
        "# Members that know of each other, the same file for all of them. Start each on its machine:\n\
         #\n\
         #   lockstep heartbeat run --config cluster.toml --id 1 --data data/1\n\
         \n\
         service = \"heartbeat\"\n\
         name = {}                      # members of another name are not heard\n\
         voters = [{}]                 # the ids of those that vote: fixed when they first run. Others may\n\
         \x20                               # join and leave as they like, and need no --data\n\
         mtu = 1400                    # a packet with more bytes goes over TCP\n\
         \n\
         {HEARTBEAT}\n\
         {security}{key}",
        toml_string(cluster),
        ids.join(", ")
    ))
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The members of the other services are fixed.
const MEMBER: &str = "\
# member = false                  # for a node that is yet to be added, or has been removed
";

/// Only a counter asks where its nodes stand.
const DATA_CENTRE: &str = "\
# data_centre = 0                 # its number: clients and nodes turn to those of their own first
";

const FOUNDING: &str = "\
# The cluster begins, once, when all nodes run and find each other on empty data directories. With
# false it waits for `lockstep init --config cluster.toml`.
init_on_first_start = true

";

const IN_THE_CLEAR: &str = "\
[security]
plaintext = true              # for a network that belongs to the cluster alone; else certificates:
# ca = \"certs/ca.pem\"                   # made by `lockstep certs init`
# certificate = \"certs/node-{id}.pem\"   # made by `lockstep certs node`; {id} stands for the number
# key = \"certs/node-{id}.key\"
# tokens = \"tokens.toml\"                # the tokens of which clients must show one
";

const WITH_TLS: &str = "\
[security]
ca = \"certs/ca.pem\"                     # made by `lockstep certs init`
certificate = \"certs/node-{id}.pem\"     # made by `lockstep certs node`; {id} stands for the number
key = \"certs/node-{id}.key\"
# tokens = \"tokens.toml\"                # the tokens of which clients must show one
";

const GOSSIP_KEY: &str = "\
gossip_key = \"certs/gossip.key\"         # made by `lockstep certs init`: the same at all nodes
";

const KV: &str = "\
[timing]                      # all optional; these are the defaults
heartbeat_ms = 50             # a leader shows that it lives this often
election_min_ms = 300         # a node that hears of no leader for so long stands for
election_max_ms = 600         # election; drawn anew each time
request_timeout_ms = 5000     # a client is answered after this time at the latest

[log]                         # all optional; these are the defaults
snapshot_after_bytes = 65536  # compact the log whenever so much has been applied; 0: never
trailing_bytes = 4194304      # keep so much of it for nodes that are a little behind
chunk_bytes = 1048576         # send a snapshot in chunks of so many bytes
appends_in_flight = 16        # so many messages with entries on their way to a node
";

const FILES: &str = "\
[timing]                      # all optional; these are the defaults
tick_ms = 100                 # what the others are counted in
ping_ticks = 2                # a leader shows that it lives this often
sync_ticks = 12               # so long a follower does without its leader, and a leader without a quorum
init_ticks = 100              # so long it may take to find an epoch and take over the leader's files
okay_ticks = 4                # Bully: whoever is up has answered a candidate by then
coordinator_ticks = 12        # Bully: whoever is higher has won, or failed, by then
request_timeout_ms = 10000    # a client is answered after this time at the latest

[log]                         # all optional; these are the defaults
snapshot_every = 256          # compact the history whenever there are so many changes
retained = 1024               # keep so many of those: a node that lacks no more gets no SNAP
diff_bytes = 1048576          # send what a node lacks in messages of so many bytes
";

const LOCKS: &str = "\
[locks]
orchestrator = 0              # it says who the members are, and has no locks itself; never another node
quorums = \"plane\"             # optional: or \"grid\", with more arbiters

[timing]                      # all optional; these are the defaults
health_check_ms = 1000        # the orchestrator looks for signs of life this often
misses = 4                    # a member that misses so many in a row is taken for dead
lease_ms = 3000               # a member that hears nothing for so long gives up what it holds, before that
max_message_delay_ms = 400    # a message takes no longer, with all queues and pauses
max_clock_drift_ppm = 1000    # a clock runs no more wrong, in millionths
retry_ms = 500                # ask again, lest something was lost
drain_ms = 10000              # holders at a node that leaves have so long, then their locks are revoked

[limits]                      # all optional; these are the defaults
max_sessions = 16384          # of clients, at a node
max_claims = 4096             # that wait or hold at a node
max_idle_locks = 4096         # that nobody claims, and of which a node remembers what is over
";

const COUNTER: &str = "\
[counter]                     # all optional; these are the defaults
exchange = \"deltas\"           # or \"push_pull\"; \"members\": nothing is exchanged; \"alone\"
members = []                  # addresses of other members' peer ports, of which this file does not tell
fold = false                  # whether what was counted on disks that are no more is folded into one number
departed = []                 # with fold: ids of nodes that are gone for good, and not in the list any more

[timing]                      # all optional; these are the defaults
broadcast_ms = 20             # increments that come within so long travel together
push_pull_ms = 5000           # a node exchanges all that it knows with one other this often
probe_ms = 1000               # SWIM: a node asks one member whether it lives this often
suspect_ms = 4000             # SWIM: a member that does not answer has so long to deny that it is dead
request_timeout_ms = 5000     # a client is answered after this time at the latest

[window]                      # all optional; these are the defaults. The same at all nodes
bucket_ms = 1000              # the sliding window moves on by so much at a time
buckets = 300                 # and is so many of these long; 0: no window

[limits]                      # all optional; these are the defaults
max_sessions = 16384          # so many clients are remembered, whose retries count once
";

const HEARTBEAT: &str = "\
[discovery]                   # how members find each other
method = \"broadcast\"          # or \"multicast\", or \"static\" with members = [\"10.0.0.1:7701\"]
port = 7700                   # the port at which voters listen for it
address = \"255.255.255.255\"   # where it is sent; with multicast: group, interface and hops

[timing]                      # all optional; these are the defaults
heartbeat_ms = 150            # a member shows that it lives this often
dead_after_ms = 2000          # one that is not heard for so long is dropped from the list
election_min_ms = 500         # a voter that hears of no leader for so long stands for
election_max_ms = 1000        # election; drawn anew each time
request_timeout_ms = 5000     # set, get and delete are answered after this time at the latest
join_timeout_ms = 30000       # a program that joins gives up after this time; 0: never

[balance]                     # all optional; these are the defaults
load_limit = 0.8              # a member with this load or more is given no work; 1: fully used
include_leader = false        # whether the leader is given work
";

#[cfg(test)]
mod tests {
    use lockstep::service::config::{ServiceConfig, ServiceKind, service_of};

    use super::*;

    #[test]
    fn what_is_written_works_as_it_stands() {
        let folder = tempfile::tempdir().expect("a folder");
        for (service, kind) in [
            (Service::Kv, ServiceKind::Kv),
            (Service::Files, ServiceKind::Files),
            (Service::Locks, ServiceKind::Locks),
            (Service::Counter, ServiceKind::Counter),
        ] {
            for (nodes, tls) in [(1, false), (3, false), (5, true), (100, false)] {
                let file = folder.path().join("cluster.toml");
                std::fs::write(&file, text(service, nodes, "it's \"blue\"", tls)).expect("written");
                let cluster = load_cluster(&file).expect("right in every respect");
                assert_eq!(service_of(&file).expect("named"), kind);
                let beside = usize::from(kind == ServiceKind::Locks);
                assert_eq!(cluster.nodes.len(), usize::from(nodes) + beside);
                assert_eq!(cluster.cluster, "it's \"blue\"");
                assert_eq!(cluster.security.plaintext, !tls);
            }
        }
    }

    #[test]
    fn a_file_of_members_works_as_it_stands_and_says_the_defaults() {
        let folder = tempfile::tempdir().expect("a folder");
        for (voters, tls) in [(1, false), (3, true), (7, false)] {
            let file = folder.path().join("cluster.toml");
            let text = heartbeat_text(voters, "it's \"blue\"", tls).expect("few enough");
            std::fs::write(&file, text).expect("written");
            let written = heartbeat::ClusterConfig::load(&file).expect("right in every respect");
            assert_eq!(service_of(&file).expect("named"), ServiceKind::Heartbeat);
            let mut usual = heartbeat::ClusterConfig::new("it's \"blue\"", 1..=voters);
            usual.security = written.security.clone();
            assert_eq!(written, usual);
            assert_eq!(written.security.plaintext, !tls);
        }
        heartbeat_text(8, "blue", false).expect_err("too many");
    }

    #[test]
    fn what_is_said_to_be_the_default_is() {
        let text = text(Service::Kv, 1, "blue", false);
        let written: lockstep::kv::Config = toml::from_str(&text).expect("a file");
        assert_eq!(written.timing, lockstep::kv::config::Timing::default());
        assert_eq!(written.log, lockstep::kv::config::LogLimits::default());
        written.check().expect("right");
        let text = super::text(Service::Files, 1, "blue", false);
        let written: lockstep::files::Config = toml::from_str(&text).expect("a file");
        assert_eq!(written.timing, lockstep::files::config::Timing::default());
        assert_eq!(written.log, lockstep::files::config::LogLimits::default());
        written.check().expect("right");
        let text = super::text(Service::Locks, 1, "blue", false);
        let written: lockstep::locks::Config = toml::from_str(&text).expect("a file");
        assert_eq!(written.timing, lockstep::locks::config::Timing::default());
        assert_eq!(written.limits, lockstep::locks::config::Limits::default());
        assert_eq!(written.locks.quorums, Default::default());
        written.check().expect("right");
        let text = super::text(Service::Counter, 1, "blue", false);
        let written: lockstep::counter::Config = toml::from_str(&text).expect("a file");
        let usual = lockstep::counter::Config::of("blue", written.nodes.clone());
        assert_eq!(written, usual);
        written.check().expect("right");
    }
}
