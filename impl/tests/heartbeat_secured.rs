//! Members with certificates, a key for their packets, and tokens for the dictionary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lockstep::heartbeat::{ClusterConfig, Config, Discovery, HeartbeatError, Member};
use lockstep::service::certs::{GOSSIP_KEY_FILE, NodeCertificate, make_authority, make_node};
use lockstep::service::security::SecurityConfig;
use models::NodeId;

use crate::support::heartbeat::{cluster, until_ids};
use crate::support::secured::{ADMIN, READER, WRITER};

fn write_private(file: &Path, text: &str) {
    fs::write(file, text).expect("written");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("set");
}

/// Certificates, a key and tokens in `folder`.
fn security(folder: &Path, voters: u16) -> SecurityConfig {
    make_authority(folder, "blue", 1).expect("made");
    for id in 1..=voters {
        let wanted = NodeCertificate {
            node: NodeId(id),
            hosts: vec!["127.0.0.1".to_owned()],
            days: 1,
        };
        make_node(folder, &wanted).expect("made");
    }
    let token = |role: &str, token: &str| {
        format!("[[token]]\nname = \"{role}\"\nrole = \"{role}\"\ntoken = \"{token}\"\n")
    };
    let tokens = token("read", READER) + &token("write", WRITER) + &token("admin", ADMIN);
    write_private(&folder.join("tokens.toml"), &tokens);
    write_private(&folder.join("reader"), READER);
    write_private(&folder.join("writer"), WRITER);
    let file = |name: &str| Some(folder.join(name));
    SecurityConfig {
        plaintext: false,
        ca: file("ca.pem"),
        certificate: file("node-{id}.pem"),
        key: file("node-{id}.key"),
        gossip_key: file(GOSSIP_KEY_FILE),
        tokens: file("tokens.toml"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_know_each_other_by_certificates_and_a_key_and_tokens_say_who_may_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = ClusterConfig {
        security: security(folder.path(), 3),
        discovery: Discovery::Static {
            members: Vec::new(),
        },
        ..cluster(3)
    };
    let mut members: Vec<Member> = Vec::new();
    for id in 1..=3 {
        let mut config = Config::new(cluster.clone(), id).on_loopback();
        config = config.with_data(folder.path().join(format!("data-{id}")));
        config.token_file = Some(folder.path().join("writer"));
        let member = Member::start(config).await.expect("starts");
        if members.is_empty() {
            cluster.discovery = Discovery::Static {
                members: vec![member.address()],
            };
        }
        members.push(member);
    }
    for member in &members {
        member.joined().await.expect("joins");
    }
    let mut config = Config::new(cluster, 4).on_loopback();
    config.token_file = Some(folder.path().join("reader"));
    let reader = Member::join(config).await.expect("joins");
    until_ids(&reader, &[1, 2, 3, 4]).await;
    members[1].set("colour", "blue").await.expect("set");
    let read = reader.get("colour").await.expect("read");
    assert_eq!(read.as_deref(), Some(&b"blue"[..]));
    let refused = reader
        .set("colour", "red")
        .await
        .expect_err("it may only read");
    assert!(matches!(refused, HeartbeatError::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("403"), "{refused}");
    reader.shutdown().await.expect("leaves in order");
    for member in members {
        member.shutdown().await.expect("stops in order");
    }
}

#[test]
fn certificates_go_with_a_key_for_packets() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = cluster(1);
    cluster.security = security(folder.path(), 1);
    cluster.check().expect("right");
    cluster.security.gossip_key = None;
    let told = cluster.check().expect_err("refused").to_string();
    assert!(told.starts_with("security.gossip_key"), "{told}");
}
