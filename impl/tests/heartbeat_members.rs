//! Who lives: members join, leave, die and come back.

use std::time::Duration;

use lockstep::heartbeat::{Config, Event, HeartbeatError, Member, NodeId};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::heartbeat::{cluster, started, timing, until, until_ids};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_join_and_leave_and_all_know_it() {
    let cluster = started(3).await;
    let four = Member::join(cluster.config(4)).await.expect("joins");
    for member in cluster.voters.iter().chain([&four]) {
        until_ids(member, &[1, 2, 3, 4]).await;
    }
    let leaders = cluster.voters.iter().filter(|member| member.is_leader());
    assert_eq!(leaders.count(), 1);
    assert!(!four.is_leader() && four.leader().is_some());
    let left = Instant::now();
    four.shutdown().await.expect("leaves in order");
    for member in &cluster.voters {
        until_ids(member, &[1, 2, 3]).await;
    }
    // Nobody had to wait until it was missed.
    assert!(left.elapsed() < timing_dead_after(), "{:?}", left.elapsed());
    cluster.shutdown().await.expect("stops in order");
}

fn timing_dead_after() -> Duration {
    Duration::from_millis(timing().dead_after_ms)
}

/// Dropped within the time that is configured, and what a heartbeat and a busy machine add to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_dies_is_dropped_in_time_and_taken_again_when_it_is_back() {
    let cluster = started(3).await;
    let mut events = cluster.voters[0].subscribe();
    let four = Member::join(cluster.config(4)).await.expect("joins");
    until_ids(&cluster.voters[0], &[1, 2, 3, 4]).await;
    let died = Instant::now();
    drop(four);
    until_ids(&cluster.voters[0], &[1, 2, 3]).await;
    let took = died.elapsed();
    let limit = timing_dead_after() + 5 * Duration::from_millis(timing().heartbeat_ms);
    assert!(
        took + Duration::from_millis(timing().heartbeat_ms) >= timing_dead_after(),
        "{took:?}"
    );
    assert!(took < limit + Duration::from_secs(2), "{took:?}");
    let again = Member::join(cluster.config(4)).await.expect("joins again");
    until_ids(&cluster.voters[0], &[1, 2, 3, 4]).await;
    let mut told = Vec::new();
    while told.len() < 3 {
        match events.next().await.expect("it runs") {
            Event::Joined(member) if member.id == NodeId(4) => told.push("joined"),
            Event::Left(member) if member.id == NodeId(4) => told.push("left"),
            _ => {}
        }
    }
    assert_eq!(told, ["joined", "left", "joined"]);
    again.shutdown().await.expect("leaves");
    cluster.shutdown().await.expect("stops in order");
}

/// Who has just joined under an id is in another life: nobody has to wait until the earlier is missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_back_at_once_needs_not_be_missed_first() {
    let cluster = started(1).await;
    let first = Member::join(cluster.config(4)).await.expect("joins");
    let address = first.address();
    drop(first);
    let again = Member::join(cluster.config(4)).await.expect("joins again");
    assert_ne!(again.address(), address);
    let list = until(&cluster.voters[0], "the later one is known", |list| {
        list.get(NodeId(4))
            .is_some_and(|member| member.address == again.address())
    });
    assert_eq!(list.await.members.len(), 2);
    again.shutdown().await.expect("leaves");
    cluster.shutdown().await.expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_members_with_one_id_the_earlier_ends_and_says_why() {
    let cluster = started(1).await;
    let earlier = Member::join(cluster.config(4)).await.expect("joins");
    // Lives are told apart by the millisecond in which they began.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let later = Member::join(cluster.config(4)).await.expect("joins");
    let error = earlier.ended().await;
    assert!(matches!(error, HeartbeatError::IdTaken { .. }), "{error}");
    assert!(
        error.to_string().contains(&later.address().to_string()),
        "{error}"
    );
    until_ids(&later, &[1, 4]).await;
    later.shutdown().await.expect("leaves");
    cluster.shutdown().await.expect("stops in order");
}

/// The leader leaves in order: it hands its leadership over, and the others keep the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_leaves_another_leads_and_nobody_else_is_dropped() {
    let mut cluster = started(3).await;
    let four = Member::join(cluster.config(4)).await.expect("joins");
    let leader = cluster.leader().expect("somebody leads").id();
    let mut events = four.subscribe();
    let at = cluster
        .voters
        .iter()
        .position(|member| member.id() == leader);
    let gone = cluster.voters.remove(at.expect("a voter"));
    gone.shutdown().await.expect("leaves in order");
    let left: Vec<u16> = [1, 2, 3, 4]
        .into_iter()
        .filter(|id| *id != leader.0)
        .collect();
    until_ids(&four, &left).await;
    let list = four.members();
    assert_ne!(list.leader.expect("somebody leads").id, leader);
    four.shutdown().await.expect("leaves");
    while let Some(event) = events.next().await {
        if let Event::Left(member) = event {
            assert!([leader, NodeId(4)].contains(&member.id), "{member:?}");
        }
    }
    cluster.shutdown().await.expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_nobody_says_so_and_is_gone_again() {
    let mut lonely = cluster(3);
    lonely.timing.join_timeout_ms = 1000;
    lonely.discovery = lockstep::heartbeat::Discovery::Static {
        members: Vec::new(),
    };
    let error = Member::join(Config::new(lonely, 4).on_loopback()).await;
    let error = error.err().expect("nobody is there").to_string();
    assert!(error.contains("It has heard no voter"), "{error}");
    assert!(error.contains("nothing was changed"), "{error}");
}

/// 39 were the most that one packet had room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_members_all_know_each_other_and_read_what_one_has_set() {
    lockstep::service::open_files::raise_limit().expect("raised");
    let mut config = cluster(5);
    // All of them are on this machine, which may be busy.
    config.timing.heartbeat_ms = 300;
    config.timing.election_min_ms = 2000;
    config.timing.election_max_ms = 4000;
    config.timing.dead_after_ms = 10_000;
    config.timing.request_timeout_ms = 20_000;
    config.timing.join_timeout_ms = 60_000;
    let cluster = lockstep::heartbeat::local::cluster::LocalCluster::start(config);
    let cluster = cluster.await.expect("starts");
    let mut joining = JoinSet::new();
    for id in 6..=100 {
        joining.spawn(Member::join(cluster.config(id)));
    }
    let mut members = Vec::new();
    while let Some(joined) = joining.join_next().await {
        members.push(joined.expect("no panic").expect("joins"));
    }
    let all: Vec<u16> = (1..=100).collect();
    for member in cluster.voters.iter().chain(&members) {
        until_ids(member, &all).await;
    }
    members[40].set("colour", "blue").await.expect("set");
    for member in members.iter().step_by(20) {
        let value = member.get("colour").await.expect("read");
        assert_eq!(value.as_deref(), Some(&b"blue"[..]));
    }
    let over_tcp: u64 = cluster
        .voters
        .iter()
        .map(|member| member.traffic().over_tcp)
        .sum();
    assert!(
        over_tcp > 0,
        "a list of a hundred does not fit into a datagram"
    );
    // A tenth of them dies.
    let dead: Vec<u16> = members.drain(..10).map(|member| member.id().0).collect();
    let left: Vec<u16> = all.into_iter().filter(|id| !dead.contains(id)).collect();
    until_ids(&cluster.voters[0], &left).await;
    until_ids(&members[0], &left).await;
    let mut leaving = JoinSet::new();
    for member in members {
        leaving.spawn(member.shutdown());
    }
    for left in leaving.join_all().await {
        left.expect("leaves in order");
    }
    cluster.shutdown().await.expect("stops in order");
}
