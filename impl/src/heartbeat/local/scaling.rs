//! `lockstep demo scaling`: how many packets a heartbeat takes, and how large they are, for growing clusters.

use std::io::Write;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::cluster::LocalCluster;
use super::story::{Story, require};
use crate::heartbeat::{ClusterConfig, Member, Timing, Traffic};
use crate::service::narrator::{DemoError, PATIENCE};
use crate::service::open_files::raise_limit;

/// In milliseconds. Longer than usual, for all members share one machine.
const HEARTBEAT: u64 = 300;
/// So many are watched.
const HEARTBEATS: u32 = 20;

/// How much is shown.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many members there are, one cluster after the other: at least 3 each.
    pub sizes: Vec<usize>,
    /// Draws the loads that members report.
    pub seed: u64,
}

impl Default for Options {
    /// From three members on, past the 39 that one packet once had room for, to a hundred.
    fn default() -> Self {
        Self {
            sizes: vec![3, 10, 39, 40, 100],
            seed: fastrand::u64(..),
        }
    }
}

/// Measures, and tells to `out`.
///
/// # Errors
/// When a cluster does not come about, or takes more than it should.
pub async fn run(options: Options, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let mut story = Story::new(out);
    // A member has a handful of sockets, and there are hundreds here.
    raise_limit().map_err(DemoError::client)?;
    let mtu = ClusterConfig::new("scaling", [1]).mtu;
    story.line(format!(
        "3 voters and other members in this process, over UDP and TCP on the loopback interface; a heartbeat is \
         {HEARTBEAT} ms, {HEARTBEATS} are watched; each member reports another load in each; seed {}",
        options.seed
    ));
    story.line(format!(
        "members | in a heartbeat: to the leader + from it = all |   2n |    n² | largest packet | over TCP (> {mtu} bytes)"
    ));
    for &size in &options.sizes {
        let row = measure(size, options.seed).await?;
        let words = format!(
            "{size:>7} | {:>27.1} + {:>7.1} = {:>5.1} | {:>4} | {:>5} | {:>8} bytes | {}",
            row.beats,
            row.answers,
            row.packets,
            2 * size,
            size * size,
            row.largest,
            row.over_tcp
        );
        story.line(words);
        let expected = format!("at most 2n packets in a heartbeat of {size} members");
        // The watching begins and ends within a heartbeat.
        let limit = 2.0 * size as f64 * (1.0 + 1.0 / f64::from(HEARTBEATS));
        require(&expected, row.packets <= limit, row.packets)?;
    }
    story.line(
        "Each member sends the leader one packet and gets one back, with what has changed in the list: 2(n - 1). \
         Everybody to everybody would be n². The voters' Raft sends 2 more for each voter but the leader, over \
         connections of its own. A list that is too large for a datagram goes over TCP: there is no greatest \
         number of members.",
    );
    story.line("PASS");
    Ok(())
}

struct Row {
    beats: f64,
    answers: f64,
    packets: f64,
    largest: u64,
    over_tcp: u64,
}

async fn measure(size: usize, seed: u64) -> Result<Row, DemoError> {
    let cluster = ClusterConfig {
        timing: Timing {
            heartbeat_ms: HEARTBEAT,
            election_min_ms: 5 * HEARTBEAT,
            election_max_ms: 10 * HEARTBEAT,
            dead_after_ms: 20 * HEARTBEAT,
            request_timeout_ms: 60 * HEARTBEAT,
            ..Timing::default()
        },
        ..ClusterConfig::new("scaling", [1, 2, 3])
    };
    let cluster = LocalCluster::start(cluster)
        .await
        .map_err(DemoError::client)?;
    let mut joining = JoinSet::new();
    for id in 4..=size {
        let id = u16::try_from(id).map_err(DemoError::client)?;
        joining.spawn(Member::join(cluster.config(id)));
    }
    let mut others = Vec::new();
    while let Some(joined) = joining.join_next().await {
        let joined = joined.map_err(DemoError::client)?;
        others.push(joined.map_err(DemoError::client)?);
    }
    let members: Vec<&Member> = cluster.voters.iter().chain(&others).collect();
    for member in &members {
        let known = member.wait_for(|list| list.members.len() == size && list.is_current);
        let known = timeout(PATIENCE, known).await;
        let expected = format!("member {} knows {size}", member.id());
        require(&expected, known.is_ok(), member.members().members.len())?;
    }
    let mut rng = Rng::with_seed(seed);
    let before = total(&members);
    let began = Instant::now();
    for _ in 0..HEARTBEATS {
        for member in &members {
            member.report_load(rng.f64()).map_err(DemoError::client)?;
        }
        sleep(Duration::from_millis(HEARTBEAT)).await;
    }
    let heartbeats = began.elapsed().as_secs_f64() * 1000.0 / HEARTBEAT as f64;
    let after = total(&members);
    let beats = (after.beats - before.beats) as f64 / heartbeats;
    let answers = (after.answers - before.answers) as f64 / heartbeats;
    let row = Row {
        beats,
        answers,
        packets: beats + answers,
        largest: after.largest,
        over_tcp: after.over_tcp,
    };
    drop(members);
    let mut leaving = JoinSet::new();
    for member in others {
        leaving.spawn(member.shutdown());
    }
    leaving.join_all().await;
    cluster.shutdown().await.map_err(DemoError::client)?;
    Ok(row)
}

fn total(members: &[&Member]) -> Traffic {
    members.iter().fold(Traffic::default(), |total, member| {
        let traffic = member.traffic();
        Traffic {
            beats: total.beats + traffic.beats,
            answers: total.answers + traffic.answers,
            largest: total.largest.max(traffic.largest),
            over_tcp: total.over_tcp + traffic.over_tcp,
            ..total
        }
    })
}
