//! The counter with certificates, tokens and a key for its datagrams: nodes that know each other by TLS
//! and by signatures, clients in TLS with tokens that allow more or less, and strangers.

use std::fs;
use std::time::{Duration, Instant};

use lockstep::service::gossip_key::make_gossip_key;
use tempfile::tempdir;

use crate::support::counter::PATIENCE;
use crate::support::secured::{ADMIN, READER, Secured, WRITER, refused, run, succeeded};

/// A running cluster, all of whose nodes agree that nothing was counted.
fn started() -> Secured {
    let mut secured = Secured::new("counter");
    (1..=3).for_each(|id| secured.launch(id));
    secured.wait_until_all_agree();
    secured
}

/// Waits until all three say so.
fn all_come_to(secured: &Secured, value: &str) {
    let end = Instant::now() + PATIENCE;
    for id in 1..=3 {
        let address = secured.client_address(id);
        let args = ["counter", "get", "--node", &address];
        loop {
            let said = succeeded(&secured.run(Some(READER), &args));
            if said.trim() == value {
                break;
            }
            assert!(
                Instant::now() < end,
                "{id} says {said}\n{}",
                secured.log(id)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_counts_and_who_reads_tokens_say_and_nodes_know_each_other_by_certificates() {
    let secured = started();
    assert_eq!(
        succeeded(&secured.run(Some(WRITER), &["counter", "inc", "42"])),
        "42\n"
    );
    all_come_to(&secured, "42");
    for (token, words) in [
        (Some(READER), "403"),
        (None, "401"),
        (Some("writer-0123456788"), "401"),
    ] {
        let said = refused(&secured.run(token, &["counter", "inc"]));
        assert!(
            said.contains(words) && said.contains("nothing was changed"),
            "{said}"
        );
    }
    // It counts, whatever the method: a GET takes the right to write as well.
    for (token, status) in [(None, 401), (Some(READER), 403), (Some(WRITER), 200)] {
        let (answered, text) = secured.get(1, token, "/inc?amount=1").await;
        assert_eq!(answered, status, "{text}");
    }
    all_come_to(&secured, "43");
    for (path, open) in [
        ("/", 401),
        ("/verbose", 401),
        ("/cluster", 401),
        ("/window", 401),
        ("/status-page/", 200),
        ("/healthz", 200),
        ("/readyz", 200),
    ] {
        assert_eq!(secured.get(1, None, path).await.0, open, "{path}");
        assert_eq!(secured.get(1, Some(READER), path).await.0, 200, "{path}");
    }
    let address = secured.client_address(3);
    let leave = ["counter", "leave", "--node", &address];
    let said = refused(&secured.run(Some(WRITER), &leave));
    assert!(said.contains("403"), "{said}");
    let said = succeeded(&secured.run(Some(ADMIN), &leave));
    assert!(said.contains("not needed any more"), "{said}");
}

/// Whoever lacks the cluster's key is not heard, whatever its certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_key_for_datagrams_is_not_heard() {
    let mut secured = Secured::new("counter");
    let key = secured.folder().join("certs/gossip.key");
    let ours = fs::read(&key).expect("made");
    for id in 1..=2 {
        secured.launch(id);
        secured.wait_for_log(id, "serving");
    }
    let end = Instant::now() + PATIENCE;
    while secured
        .get(1, Some(READER), "/status")
        .await
        .1
        .contains("\"alive\":0")
    {
        assert!(Instant::now() < end, "{}", secured.log(1));
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::remove_file(&key).expect("removed");
    make_gossip_key(&key).expect("another");
    secured.launch(3);
    secured.wait_for_log(3, "serving");
    assert_eq!(
        succeeded(&secured.run(Some(WRITER), &["counter", "inc", "7"])),
        "7\n"
    );
    std::thread::sleep(Duration::from_secs(4));
    let (_, status) = secured.get(3, Some(READER), "/status").await;
    assert!(status.contains("\"alive\":0"), "{status}");
    let (_, value) = secured.get(3, Some(READER), "/").await;
    assert_eq!(value, "0\n");
    // With the right one it comes to know all, under its own number and on its own disk.
    fs::write(&key, ours).expect("put back");
    secured.stop(3);
    secured.launch(3);
    all_come_to(&secured, "7");
}

#[test]
fn a_file_with_certificates_and_no_key_for_datagrams_is_refused() {
    let folder = tempdir().expect("a folder");
    let run = |args: &[&str]| run(folder.path(), None, args);
    succeeded(&run(&["config", "init", "counter", "--tls"]));
    let file = folder.path().join("cluster.toml");
    let text = fs::read_to_string(&file).expect("written");
    fs::write(&file, text.replace("gossip_key =", "# gossip_key =")).expect("written");
    let said = refused(&run(&["config", "check", "cluster.toml"]));
    assert!(
        said.contains("security.gossip_key: it is missing"),
        "{said}"
    );
    // Nor is a key of no use.
    fs::write(&file, text).expect("written");
    succeeded(&run(&["certs", "init"]));
    succeeded(&run(&["certs", "node", "--config", "cluster.toml"]));
    fs::write(folder.path().join("certs/gossip.key"), "short\n").expect("written");
    let said = refused(&run(&["node", "--config", "cluster.toml", "--id", "1"]));
    assert!(said.contains("line 1 is no key"), "{said}");
}
