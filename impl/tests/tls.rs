//! Peers in TLS: who is let in, and what both ends say of who is not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lockstep::runtime::tls::{Tls, TlsFiles};
use lockstep::runtime::transport::tcp::{Security, TcpConfig};
use lockstep::service::certs::{CertsError, NodeCertificate, make_authority, make_node};
use models::NodeId;
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::cluster::{config, listener};
use crate::support::watch::eventually;
use crate::tcp::End;

/// An authority, in a folder.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let folder = tempdir().expect("a folder");
        make_authority(folder.path(), "blue", 10).expect("made");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes node `id`'s certificate, valid for `days`.
    fn make(&self, id: u16, days: u32) {
        let wanted = NodeCertificate {
            node: NodeId(id),
            hosts: vec!["127.0.0.1".to_owned()],
            days,
        };
        make_node(self.0.path(), &wanted).expect("made");
    }

    /// What node `id` has, under this authority.
    fn security(&self, id: u16) -> Security {
        let files = TlsFiles {
            ca: self.path("ca.pem"),
            certificate: self.path(&format!("node-{id}.pem")),
            key: self.path(&format!("node-{id}.key")),
        };
        Security::Tls(Arc::new(Tls::load(files).expect("of use")))
    }

    /// The same, with a certificate that is made for it.
    fn made(&self, id: u16) -> Security {
        self.make(id, 10);
        self.security(id)
    }
}

/// Nodes 1 and 2, which know each other in these ways.
async fn pair(first: Security, second: Security) -> (End, End) {
    let ((l1, a1), (l2, a2)) = (listener().await, listener().await);
    let one = TcpConfig {
        security: first,
        ..config(1, &[(2, a2)])
    };
    let two = TcpConfig {
        security: second,
        ..config(2, &[(1, a1)])
    };
    (End::start(l1, one), End::start(l2, two))
}

/// Asserts that neither lets the other in, and that both count it.
async fn check_refused(first: Security, second: Security) {
    let (mut one, mut two) = pair(first, second).await;
    one.send(2, "let me in");
    two.send(1, "let me in");
    eventually("node 2 refuses", || {
        two.metrics.handshakes_refused.get() > 0
    });
    eventually("node 1 hears so", || {
        one.metrics.handshakes_refused.get() > 0
    });
    for end in [&one, &two] {
        end.arrived.expect_nothing();
        assert_eq!(end.metrics.connections_accepted.get(), 0);
        assert_eq!(end.metrics.connects.get(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_authority_talk() {
    let authority = Authority::new();
    let (mut one, mut two) = pair(authority.made(1), authority.made(2)).await;
    for n in 0..500 {
        one.send(2, n.to_string());
    }
    two.send(1, "x".repeat(3 << 20));
    for n in 0..500 {
        two.expect(1, n.to_string());
    }
    one.expect(2, "x".repeat(3 << 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    check_refused(theirs.made(1), ours.made(2)).await;
}

/// Its certificate is of the right authority, and names another node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_none_but_the_one_in_its_certificate() {
    let authority = Authority::new();
    check_refused(authority.made(3), authority.made(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_refused_and_a_new_one_needs_no_restart() {
    let authority = Authority::new();
    authority.make(1, 0);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (mut one, two) = pair(authority.security(1), authority.made(2)).await;
    one.send(2, "let me in");
    eventually("node 2 refuses", || {
        two.metrics.handshakes_refused.get() > 0
    });
    eventually("node 1 hears so", || {
        one.metrics.handshakes_refused.get() > 0
    });
    assert_eq!(two.metrics.connections_accepted.get(), 0);
    authority.make(1, 10);
    one.send_until_it_arrives(&two, 2, 1, "renewed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_in_the_clear_and_one_in_tls_refuse_each_other() {
    let authority = Authority::new();
    check_refused(Security::Plaintext, authority.made(2)).await;
}

/// Whoever shows no certificate gets not a byte of the cluster's language.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_hears_nothing() {
    let authority = Authority::new();
    let (_one, two) = pair(authority.made(1), authority.made(2)).await;
    let mut stream = TcpStream::connect(two.tcp.local_address())
        .await
        .expect("connects");
    stream
        .write_all(b"GET /status HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    let mut heard = Vec::new();
    // However the connection ends.
    let _ = stream.read_to_end(&mut heard).await;
    assert!(
        !heard.windows(8).any(|bytes| bytes == b"LOCKSTEP"),
        "{heard:?}"
    );
    eventually("it is counted", || two.metrics.handshakes_refused.get() > 0);
}

#[test]
fn an_authority_is_never_overwritten_and_its_key_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let authority = Authority::new();
    let again = make_authority(authority.0.path(), "blue", 10);
    assert!(matches!(again, Err(CertsError::Exists(_))), "{again:?}");
    authority.make(1, 1);
    for key in ["ca.key", "node-1.key"] {
        let mode = std::fs::metadata(authority.path(key))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{key}");
    }
}

#[test]
fn credentials_that_do_not_go_together_are_refused_with_the_file() {
    let authority = Authority::new();
    authority.make(1, 1);
    authority.make(2, 1);
    let load = |ca: &str, certificate: &str, key: &str| {
        let files = TlsFiles {
            ca: authority.path(ca),
            certificate: authority.path(certificate),
            key: authority.path(key),
        };
        Tls::load(files).expect_err("refused").to_string()
    };
    assert!(load("ca.pem", "node-1.pem", "node-2.key").contains("node-1.pem"));
    assert!(load("none.pem", "node-1.pem", "node-1.key").contains("none.pem"));
    assert!(load("node-1.key", "node-1.pem", "node-1.key").contains("no certificate in it"));
    assert!(load("ca.pem", "node-1.pem", "node-1.pem").contains("node-1.pem"));
}
