//! How members find each other, and whom they believe.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use lockstep::heartbeat::{ClusterConfig, Config, Discovery, Member, Observer};
use lockstep::service::gossip_key::make_gossip_key;

use crate::support::heartbeat::{PATIENCE, cluster, until_ids};

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    socket.local_addr().expect("bound").port()
}

fn free_tcp_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    socket.local_addr().expect("bound").port()
}

fn broadcast(port: u16) -> Discovery {
    Discovery::Broadcast {
        port,
        address: Ipv4Addr::new(127, 255, 255, 255),
    }
}

fn config(cluster: &ClusterConfig, id: u16, folder: &Path) -> Config {
    let config = Config::new(cluster.clone(), id).on_loopback();
    match cluster.voters.contains(&id) {
        true => config.with_data(folder.join(id.to_string())),
        false => config,
    }
}

/// Members 1, 2 and 3, which have joined.
async fn three_voters(cluster: &ClusterConfig, folder: &Path) -> Vec<Member> {
    let mut members = Vec::new();
    for id in 1..=3 {
        let config = config(cluster, id, folder);
        members.push(Member::start(config).await.expect("starts"));
    }
    for member in &members {
        member.joined().await.expect("joins");
    }
    members
}

/// Three voters and a member without a vote, none of which knows an address.
async fn find_each_other(cluster: ClusterConfig) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut members = Vec::new();
    for id in 1..=4 {
        let config = config(&cluster, id, folder.path());
        members.push(Member::start(config).await.expect("starts"));
    }
    for member in &members {
        member.joined().await.expect("joins");
        until_ids(member, &[1, 2, 3, 4]).await;
    }
    members[3].set("colour", "blue").await.expect("set");
    let listen = "127.0.0.1:0".parse().expect("an address");
    let observer = Observer::start(cluster, listen, Vec::new(), PATIENCE)
        .await
        .expect("starts");
    let list = observer.members().await.expect("somebody answers");
    assert!(list.is_current && list.members.len() == 4, "{list:?}");
    for member in members.into_iter().rev() {
        member.shutdown().await.expect("leaves in order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_broadcast() {
    let discovery = broadcast(free_port());
    find_each_other(ClusterConfig {
        discovery,
        ..cluster(3)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_multicast() {
    let discovery = Discovery::Multicast {
        port: free_port(),
        group: Ipv4Addr::new(239, 255, 77, 1),
        interface: Ipv4Addr::LOCALHOST,
        hops: 1,
    };
    find_each_other(ClusterConfig {
        discovery,
        ..cluster(3)
    })
    .await;
}

/// All members of a cluster sign with its key; whoever has another, or none, is nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_have_the_key_or_the_name_is_not_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = |name: &str| {
        let path = folder.path().join(name);
        make_gossip_key(&path).expect("made");
        Some(path)
    };
    let mut ours = ClusterConfig {
        discovery: broadcast(free_port()),
        ..cluster(1)
    };
    ours.security.gossip_key = key("ours");
    let one = Member::join(config(&ours, 1, folder.path()))
        .await
        .expect("joins");
    let two = Member::join(config(&ours, 2, folder.path()))
        .await
        .expect("joins");
    let mut strangers = [ours.clone(), ours.clone(), ours.clone()];
    strangers[0].security.gossip_key = key("theirs");
    strangers[1].security.gossip_key = None;
    strangers[2].name = "red".to_owned();
    for mut stranger in strangers {
        stranger.timing.join_timeout_ms = 1000;
        let joined = Member::join(config(&stranger, 3, folder.path())).await;
        let error = joined.err().expect("it is not heard").to_string();
        assert!(error.contains("It has heard no voter"), "{error}");
    }
    until_ids(&two, &[1, 2]).await;
    assert!(one.traffic().strangers > 0);
    two.shutdown().await.expect("leaves");
    one.shutdown().await.expect("leaves");
}

/// A voter is where it was when it starts again, and finds the others by what it has kept, also where
/// nobody answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_starts_again_belongs_to_the_same_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = ClusterConfig {
        discovery: broadcast(free_port()),
        ..cluster(3)
    };
    let start = async || {
        let mut members = Vec::new();
        for id in 1..=3 {
            let config = config(&cluster, id, folder.path());
            members.push(Member::start(config).await.expect("starts"));
        }
        for member in &members {
            member.joined().await.expect("joins");
        }
        members
    };
    let members = start().await;
    members[0].set("colour", "blue").await.expect("set");
    for member in members {
        member.shutdown().await.expect("stops in order");
    }
    let mut members = start().await;
    let read = members[2].get("colour").await.expect("read");
    assert_eq!(read.as_deref(), Some(&b"blue"[..]));
    // Two of three, one of which starts while the third is gone.
    members.remove(0).shutdown().await.expect("stops in order");
    members.remove(0).shutdown().await.expect("stops in order");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let two = Member::join(config(&cluster, 2, folder.path()))
        .await
        .expect("joins");
    two.set("colour", "red").await.expect("two of three commit");
    two.shutdown().await.expect("stops in order");
    members.remove(0).shutdown().await.expect("stops in order");
}

/// Its disk says who it is, and its packets where.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_comes_back_at_other_addresses_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = ClusterConfig {
        discovery: broadcast(free_port()),
        ..cluster(3)
    };
    let mut members = three_voters(&cluster, folder.path()).await;
    members.remove(2).shutdown().await.expect("stops in order");
    let mut moved = config(&cluster, 3, folder.path());
    moved.voter.peer_port = free_tcp_port();
    moved.voter.client_port = free_tcp_port();
    let three = Member::join(moved).await.expect("joins");
    until_ids(&members[0], &[1, 2, 3]).await;
    // Without it there would be no majority from here on.
    members.remove(1).shutdown().await.expect("stops in order");
    until_ids(&members[0], &[1, 3]).await;
    members[0].set("colour", "red").await.expect("committed");
    let read = three.get("colour").await.expect("read");
    assert_eq!(read.as_deref(), Some(&b"red"[..]));
    three.shutdown().await.expect("stops in order");
    members.remove(0).shutdown().await.expect("stops in order");
}

/// It would deny what it has promised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_whose_folder_was_emptied_does_not_vote_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = ClusterConfig {
        discovery: broadcast(free_port()),
        ..cluster(3)
    };
    let mut members = three_voters(&cluster, folder.path()).await;
    members.remove(2).shutdown().await.expect("stops in order");
    std::fs::remove_dir_all(folder.path().join("3")).expect("emptied");
    cluster.timing.join_timeout_ms = 3000;
    let three = Member::start(config(&cluster, 3, folder.path()))
        .await
        .expect("starts");
    // It lives, as all can see; but a majority without it is the other two.
    until_ids(&members[0], &[1, 2, 3]).await;
    members.remove(1).shutdown().await.expect("stops in order");
    members[0]
        .set("colour", "red")
        .await
        .expect_err("one of three voters is no majority");
    three.shutdown().await.expect("stops in order");
    members.remove(0).shutdown().await.expect("stops in order");
}
