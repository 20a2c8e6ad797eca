//! A cluster with certificates and tokens, from its first file to a renewed certificate: as operators
//! make it, by the program alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::tempdir;

use crate::support::secured::{ADMIN, READER, Secured, WRITER, refused, run, succeeded};

#[test]
fn a_cluster_with_certificates_and_tokens_serves_whom_it_should() {
    let mut secured = Secured::new("kv");
    succeeded(&run(
        secured.folder(),
        None,
        &["config", "check", "cluster.toml"],
    ));
    for id in 1..=3 {
        secured.launch(id);
    }
    secured.wait_until_all_agree();

    // Through each node, so that some of them forward to the leader.
    succeeded(&secured.run(Some(WRITER), &["kv", "put", "colour", "blue"]));
    for _ in 0..3 {
        assert_eq!(
            succeeded(&secured.run(Some(READER), &["kv", "get", "colour"])),
            "blue"
        );
    }
    let said = refused(&secured.run(Some(READER), &["kv", "put", "colour", "red"]));
    assert!(
        said.contains("403") && said.contains("the token allows to read"),
        "{said}"
    );
    assert!(said.contains("nothing was changed"), "{said}");
    for token in [None, Some("writer-0123456788")] {
        let said = refused(&secured.run(token, &["kv", "get", "colour"]));
        assert!(
            said.contains("401") && said.contains("nothing was changed"),
            "{said}"
        );
    }
    for change in [["members", "remove", "3"], ["members", "move-leader", "3"]] {
        let said = refused(&secured.run(Some(WRITER), &change));
        assert!(said.contains("403"), "{said}");
    }
    let listed = succeeded(&secured.run(Some(READER), &["members", "list"]));
    assert_eq!(listed.matches("voter").count(), 3, "{listed}");

    // What a node logs is changed while it runs, by an operator alone.
    let said = secured.run(Some(WRITER), &["log-level", "debug"]);
    assert!(
        refused(&said).contains("the token allows to read and write"),
        "{said:?}"
    );
    let said = succeeded(&secured.run(Some(ADMIN), &["log-level", "debug"]));
    assert_eq!(said.matches("debug, which was info").count(), 3, "{said}");
    let said = refused(&secured.run(Some(ADMIN), &["log-level", "loud"]));
    assert!(
        said.contains("`loud` is no log level") && said.contains("nothing was changed"),
        "{said}"
    );
    let said = succeeded(&secured.run(Some(READER), &["log-level"]));
    assert_eq!(said.matches(": debug").count(), 3, "{said}");

    // Who believes another authority does not talk to these nodes.
    let other = tempdir().expect("a folder");
    succeeded(&run(other.path(), None, &["certs", "init", "--dir", "."]));
    let ca = other.path().join("ca.pem");
    let args = ["kv", "get", "colour", "--timeout", "1", "--ca"];
    let args: Vec<&str> = args
        .into_iter()
        .chain([ca.to_str().expect("a path")])
        .collect();
    let said = refused(&secured.run(Some(READER), &args));
    assert!(said.contains("certificate"), "{said}");
    for token in [READER, WRITER, ADMIN] {
        for id in 1..=3 {
            assert!(!secured.log(id).contains(token), "a token in a log");
        }
    }
}

#[test]
fn tokens_that_everybody_may_read_are_refused() {
    let secured = Secured::new("kv");
    let file = secured.folder().join("tokens.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
    let output = secured.run(None, &["node", "--id", "1"]);
    let said = refused(&output);
    assert!(
        said.contains("tokens.toml") && said.contains("chmod 600"),
        "{said}"
    );
    assert!(said.contains("nothing was started"), "{said}");
}

#[test]
fn a_node_without_its_certificate_says_which_file_is_missing() {
    let secured = Secured::new("kv");
    fs::remove_file(secured.folder().join("certs/node-1.pem")).expect("removed");
    let said = refused(&secured.run(None, &["node", "--id", "1"]));
    assert!(
        said.contains("node-1.pem") && said.contains("lockstep certs"),
        "{said}"
    );
    let said = refused(&run(
        secured.folder(),
        None,
        &["config", "check", "cluster.toml"],
    ));
    assert!(said.contains("node 1 could not start"), "{said}");
}
