//! A packet that passes the MTU goes over TCP, and says the same.

use lockstep::heartbeat::local::cluster::LocalCluster;
use lockstep::heartbeat::{ClusterConfig, Member, Observer};
use tokio::task::JoinSet;

use crate::support::heartbeat::{PATIENCE, cluster, until_ids};

async fn members(mtu: usize) -> (LocalCluster, Vec<Member>, ClusterConfig) {
    let config = ClusterConfig { mtu, ..cluster(1) };
    let cluster = LocalCluster::start(config.clone()).await.expect("starts");
    let mut joining = JoinSet::new();
    for id in 2..=12 {
        joining.spawn(Member::join(cluster.config(id)));
    }
    let mut members = Vec::new();
    for joined in joining.join_all().await {
        members.push(joined.expect("joins"));
    }
    let all: Vec<u16> = (1..=12).collect();
    for member in &members {
        until_ids(member, &all).await;
    }
    (cluster, members, config)
}

async fn end(cluster: LocalCluster, members: Vec<Member>) {
    for member in members {
        member.shutdown().await.expect("leaves in order");
    }
    cluster.shutdown().await.expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_fits_into_a_datagram_goes_as_one() {
    let (cluster, members, _) = members(1400).await;
    let traffic = cluster.voters[0].traffic();
    assert!(
        traffic.over_tcp == 0 && traffic.largest <= 1400,
        "{traffic:?}"
    );
    end(cluster, members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_does_not_goes_over_tcp() {
    let (cluster, members, mut config) = members(256).await;
    let traffic = cluster.voters[0].traffic();
    assert!(traffic.over_tcp > 0 && traffic.largest > 256, "{traffic:?}");
    // So does a value that somebody asks for who is no member.
    let value = vec![7_u8; 200_000];
    members[0].set("large", value.clone()).await.expect("set");
    config.discovery = lockstep::heartbeat::Discovery::Static {
        members: vec![members[3].address()],
    };
    let listen = "127.0.0.1:0".parse().expect("an address");
    let observer = Observer::start(config, listen, Vec::new(), PATIENCE)
        .await
        .expect("starts");
    let end_at = tokio::time::Instant::now() + PATIENCE;
    loop {
        match observer.get_stale(b"large").await {
            Ok(stale) if stale.value.as_deref() == Some(&value[..]) => break,
            found => assert!(tokio::time::Instant::now() < end_at, "{found:?}"),
        }
    }
    assert_eq!(observer.members().await.expect("told").members.len(), 12);
    end(cluster, members).await;
}
