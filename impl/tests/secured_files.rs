//! The file service with certificates and tokens: nodes that know each other by TLS, clients in TLS
//! with tokens that allow more or less, and strangers.

use std::fs;

use tempfile::tempdir;

use crate::support::secured::{ADMIN, READER, Secured, WRITER, refused, run, succeeded};

/// A running cluster, all of whose nodes agree.
fn started() -> Secured {
    let mut secured = Secured::new("files");
    (1..=3).for_each(|id| secured.launch(id));
    secured.wait_until_all_agree();
    secured
}

/// Asserts that a command was refused in these words, and did nothing.
fn check_refused(secured: &Secured, token: Option<&str>, args: &[&str], words: &[&str]) {
    let said = refused(&secured.run(token, args));
    for words in words.iter().chain(&["nothing was changed"]) {
        assert!(said.contains(words), "{args:?}: no `{words}` in {said}");
    }
}

#[test]
fn files_are_served_in_tls_to_whoever_shows_a_token_for_it() {
    let secured = started();
    // By way of each node, so that some of them ask the leader.
    succeeded(&secured.run(Some(WRITER), &["files", "create", "notes", "one\n"]));
    succeeded(&secured.run(Some(WRITER), &["files", "append", "notes", "two\n"]));
    for _ in 0..3 {
        let read = secured.run(Some(READER), &["files", "read", "notes", "--sync"]);
        assert_eq!(succeeded(&read), "one\ntwo\n");
    }
    let watch = ["files", "watch", "--from", "0", "--limit", "2"];
    let seen = succeeded(&secured.run(Some(READER), &watch));
    assert_eq!(seen.lines().count(), 2, "{seen}");

    let read = ["files", "read", "notes"];
    for change in [
        &["files", "append", "notes", "x"][..],
        &["files", "create", "other", "x"],
        &["files", "delete", "notes"],
    ] {
        let words = ["403", "the token allows to read"];
        check_refused(&secured, Some(READER), change, &words);
    }
    for token in [None, Some("writer-0123456788")] {
        check_refused(&secured, token, &read, &["401"]);
        check_refused(&secured, token, &["files", "delete", "notes"], &["401"]);
    }
    let level = ["log-level", "debug"];
    let words = ["the token allows to read and write"];
    check_refused(&secured, Some(WRITER), &level, &words);
    let said = succeeded(&secured.run(Some(ADMIN), &level));
    assert_eq!(said.matches("debug, which was info").count(), 3, "{said}");

    let read = secured.run(Some(READER), &["files", "read", "notes", "--sync"]);
    assert_eq!(
        succeeded(&read),
        "one\ntwo\n",
        "what was refused changed it"
    );
    for token in [READER, WRITER, ADMIN] {
        for id in 1..=3 {
            assert!(!secured.log(id).contains(token), "a token in a log");
        }
    }
}

#[test]
fn who_believes_another_authority_or_speaks_in_the_clear_gets_nothing_from_a_file_service() {
    let secured = started();
    let other = tempdir().expect("a folder");
    succeeded(&run(other.path(), None, &["certs", "init", "--dir", "."]));
    let ca = other.path().join("ca.pem");
    let ca = ca.to_str().expect("a path");
    let args = ["files", "read", "notes", "--timeout", "1", "--ca", ca];
    let said = refused(&secured.run(Some(READER), &args));
    assert!(said.contains("certificate"), "{said}");

    let address = secured.client_address(1);
    let args = [
        "files",
        "read",
        "notes",
        "--timeout",
        "1",
        "--node",
        &address,
    ];
    let said = refused(&run(secured.folder(), Some(READER), &args));
    for words in ["no answer within 1s", "nothing was changed by this request"] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_are_for_who_may_read_and_health_is_for_all() {
    for service in ["kv", "files"] {
        let mut secured = Secured::new(service);
        (1..=3).for_each(|id| secured.launch(id));
        secured.wait_until_all_agree();
        for (token, status) in [(None, 401), (Some(READER), 200), (Some(ADMIN), 200)] {
            for path in ["/debug/vars", "/status"] {
                let (answered, text) = secured.get(1, token, path).await;
                assert_eq!(answered, status, "{path}: {text}");
            }
            assert_eq!(secured.get(1, token, "/healthz").await.0, 200);
        }
    }
}

#[test]
fn a_file_node_with_a_certificate_of_another_authority_is_refused_and_both_ends_say_why() {
    let mut secured = started();
    let ours = ["node-3.pem", "node-3.key"].map(|name| {
        let path = secured.folder().join("certs").join(name);
        (fs::read(&path).expect("read"), path)
    });
    let run = |args: &[&str]| succeeded(&run(secured.folder(), None, args));
    run(&["certs", "init", "--dir", "others", "--cluster", "blue"]);
    run(&[
        "certs",
        "node",
        "--dir",
        "others",
        "--config",
        "cluster.toml",
    ]);
    for (_, path) in &ours {
        let name = path.file_name().expect("a name");
        fs::copy(secured.folder().join("others").join(name), path).expect("replaced");
    }
    secured.stop(3);
    secured.launch(3);
    secured.wait_for_log(1, "its certificate is of another authority than ours");
    secured.wait_for_log(3, "our certificate is of another authority than its own");
    // The others go on without it.
    succeeded(&secured.run(Some(WRITER), &["files", "create", "notes", "x"]));
    let status = secured.run(Some(READER), &["status"]);
    assert!(!status.status.success(), "{status:?}");

    // Its own certificate is read without a restart.
    for (bytes, path) in &ours {
        fs::write(path, bytes).expect("put back");
    }
    secured.wait_until_all_agree();
}
