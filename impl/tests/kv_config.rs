//! Cluster files: good ones, and what is said about bad ones.

use std::fs;

use lockstep::kv::Config;
use lockstep::kv::config::{Limits, LogLimits, Timing};
use models::NodeId;
use tempfile::tempdir;

const GOOD: &str = r#"cluster = "blue"
security.plaintext = true
[timing]
heartbeat_ms = 20
election_min_ms = 100
election_max_ms = 200
request_timeout_ms = 1000

[log]
chunk_bytes = 1000
appends_in_flight = 4

[[nodes]]
id = 1
peer_address = "127.0.0.1:7401"
client_address = "127.0.0.1:7501"
data_directory = "data/1"

[[nodes]]
id = 2
peer_address = "127.0.0.1:7411"
client_address = "127.0.0.1:7511"
metrics_address = "127.0.0.1:0"
data_directory = "/var/2"
"#;

fn load(text: &str) -> Result<Config, String> {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("cluster.toml");
    fs::write(&file, text).expect("written");
    Config::load(&file).map_err(|error| error.to_string())
}

#[test]
fn a_good_file_is_read() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("cluster.toml");
    fs::write(&file, GOOD).expect("written");
    let config = Config::load(&file).expect("good");
    assert_eq!((config.cluster.as_str(), config.nodes.len()), ("blue", 2));
    assert_eq!(config.timing.heartbeat_ms, 20);
    let log = LogLimits {
        chunk_bytes: 1000,
        appends_in_flight: 4,
        ..LogLimits::default()
    };
    assert_eq!(config.log, log);
    let one = config.node(NodeId(1)).expect("there");
    assert_eq!(one.data_directory, folder.path().join("data/1"));
    assert_eq!(one.metrics_address(), "127.0.0.1:7402");
    let two = config.node(NodeId(2)).expect("there");
    assert_eq!(two.data_directory.to_str(), Some("/var/2"));
    assert_eq!(two.metrics_address(), "127.0.0.1:0");
}

#[test]
fn what_is_left_out_has_a_default() {
    let start = GOOD.find("[timing]").expect("there");
    let end = GOOD.find("[[nodes]]").expect("there");
    let text = format!("{}{}", &GOOD[..start], &GOOD[end..]);
    let config = load(&text).expect("good");
    assert_eq!(
        (config.timing, config.log, config.limits),
        (Timing::default(), LogLimits::default(), Limits::default())
    );
    let text = GOOD.replace("heartbeat_ms = 20\n", "");
    let text = text.replace("election_min_ms = 100", "election_min_ms = 150");
    assert_eq!(load(&text).expect("good").timing.heartbeat_ms, 50);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load("/nowhere/cluster.toml".as_ref()).expect_err("not there");
    let error = error.to_string();
    assert!(
        error.contains("/nowhere/cluster.toml: cannot be read"),
        "{error}"
    );
}

#[test]
fn a_node_that_is_not_in_the_file_is_named_with_those_that_are() {
    let error = load(GOOD)
        .expect("good")
        .node(NodeId(7))
        .expect_err("not there");
    let expected = "nodes: there is no node with id 7; the file has the ids 1, 2";
    assert_eq!(error.to_string(), expected);
}

/// For each bad file: what of the good one is replaced by what, and what is said about it.
const BAD: &[(&str, &str, &[&str])] = &[
    ("cluster = \"blue\"", "cluster = ", &["line 1"]),
    ("cluster = \"blue\"", "", &["missing field `cluster`"]),
    (
        "cluster = \"blue\"",
        "cluster = \"\"",
        &["cluster: it is empty; give"],
    ),
    (
        "cluster = ",
        "colour = 1\ncluster = ",
        &["line 1", "unknown field `colour`", "`cluster`"],
    ),
    (
        "heartbeat_ms",
        "hartbeat_ms",
        &[
            "unknown field `hartbeat_ms`",
            "did you mean `heartbeat_ms`?",
        ],
    ),
    (
        "data_directory",
        "data_dir",
        &[
            "line 17",
            "unknown field `data_dir`",
            "did you mean `data_directory`?",
        ],
    ),
    (
        "peer_address = \"127.0.0.1:7401\"\n",
        "",
        &["missing field `peer_address`"],
    ),
    (
        "heartbeat_ms = 20",
        "heartbeat_ms = -1",
        &["line 4", "invalid value", "-1"],
    ),
    (
        "heartbeat_ms = 20",
        "heartbeat_ms = \"fast\"",
        &["line 4", "invalid type: string"],
    ),
    (
        "heartbeat_ms = 20",
        "heartbeat_ms = 0",
        &["timing.heartbeat_ms: it is 0; choose"],
    ),
    (
        "election_min_ms = 100",
        "election_min_ms = 59",
        &[
            "timing.election_min_ms: 59 is not well above the heartbeat of 20",
            "heartbeat, 60",
        ],
    ),
    (
        "election_max_ms = 200",
        "election_max_ms = 119",
        &[
            "timing.election_max_ms: 119 leaves no room for chance",
            "heartbeat_ms, 120",
        ],
    ),
    (
        "request_timeout_ms = 1000",
        "request_timeout_ms = 399",
        &[
            "timing.request_timeout_ms: 399 gives an election no time",
            "election_max_ms, 400",
        ],
    ),
    (
        "[timing]",
        "[limits]\nmax_sessions = 0\n\n[timing]",
        &["limits.max_sessions: it is 0; choose"],
    ),
    (
        "[timing]",
        "[limits]\nmax_pending_reads = 0\n\n[timing]",
        &["limits.max_pending_reads: it is 0; choose"],
    ),
    (
        "[timing]",
        "[limits]\nmax_client_connections = 0\n\n[timing]",
        &["limits.max_client_connections: it is 0; choose"],
    ),
    (
        "chunk_bytes = 1000",
        "chunk_bytes = 0",
        &["log.chunk_bytes: it is 0: a snapshot would never arrive; choose at least 1"],
    ),
    (
        "chunk_bytes = 1000",
        "chunk_bytes = 67108864",
        &[
            "log.chunk_bytes: 67108864 does not fit in a message, which has at most 67108864",
            "at most 67107840",
        ],
    ),
    (
        "appends_in_flight = 4",
        "appends_in_flight = 0",
        &["log.appends_in_flight: it is 0: nothing would be replicated; choose"],
    ),
    (
        "appends_in_flight = 4",
        "appends_in_flight = 33",
        &["log.appends_in_flight: 33 would crowd out", "at most 32"],
    ),
    (
        "appends_in_flight = 4",
        "trailing = 4",
        &["unknown field `trailing`", "did you mean `trailing_bytes`?"],
    ),
    (
        "id = 2",
        "id = 1",
        &["nodes[1].id: 1 is the id of nodes[0] already; give each"],
    ),
    ("id = 2", "id = 70000", &["line 20", "70000", "u16"]),
    (
        "127.0.0.1:7411",
        "127.0.0.1:7401",
        &["nodes[1].peer_address: `127.0.0.1:7401` is nodes[0].peer_address already"],
    ),
    (
        "127.0.0.1:7511",
        "127.0.0.1:7402",
        &[
            "nodes[1].client_address: `127.0.0.1:7402` is nodes[0].metrics_address already",
            "+ 1",
        ],
    ),
    (
        "127.0.0.1:7411",
        "localhost",
        &["nodes[1].peer_address: `localhost` has no port; write host:port, such as \"localhost:"],
    ),
    (
        "127.0.0.1:7411",
        ":7411",
        &["`:7411` has no host; write host:port"],
    ),
    (
        "127.0.0.1:7411",
        "127.0.0.1:74110",
        &["`127.0.0.1:74110` has the port `74110`, which is no number from 0 to 65535"],
    ),
    (
        "127.0.0.1:7411",
        "http://10.0.0.2:7411/",
        &["nodes[1].peer_address: `http://10.0.0.2:7411/` is a URL; write \"10.0.0.2:7411\""],
    ),
    (
        "127.0.0.1:7411",
        "fd00::2:7411",
        &[
            "nodes[1].peer_address: `fd00::2:7411`",
            "\"[fd00::2:7411]:7500\"",
        ],
    ),
    (
        "127.0.0.1:7411",
        "0.0.0.0:7411",
        &[
            "nodes[1].peer_address: `0.0.0.0:7411` means every address of this machine",
            "nobody can dial it; write the host name or address at which others reach this node",
            "such as \"10.0.0.1:7411\", and peer_listen = \"0.0.0.0:7411\" beside it",
        ],
    ),
    (
        "127.0.0.1:7511",
        "[::]:7511",
        &[
            "nodes[1].client_address: `[::]:7511` means every address of this machine",
            "client_listen = \"[::]:7511\" beside it",
        ],
    ),
    (
        "client_address = \"127.0.0.1:7511\"",
        "client_address = \"127.0.0.1:7511\"\npeer_listen = \"0.0.0.0\"",
        &["nodes[1].peer_listen: `0.0.0.0` has no port"],
    ),
    (
        "client_address = \"127.0.0.1:7511\"",
        "client_address = \"127.0.0.1:7511\"\nclient_listen = \"0.0.0.0:0\"",
        &["nodes[1].client_listen: `0.0.0.0:0` has port 0"],
    ),
    (
        "client_address = \"127.0.0.1:7511\"",
        "client_address = \"127.0.0.1:7511\"\nclient_listen = \"127.0.0.1:7411\"",
        &["nodes[1].client_listen: `127.0.0.1:7411` is nodes[1].peer_address already"],
    ),
    (
        "127.0.0.1:7511",
        "127.0.0.1:0",
        &[
            "nodes[1].client_address: `127.0.0.1:0` has port 0",
            "choose a port from 1 to 65535",
        ],
    ),
    (
        "/var/2",
        "data/1",
        &["nodes[1].data_directory: `data/1` is that of nodes[0] already"],
    ),
    (
        "/var/2",
        "",
        &["nodes[1].data_directory: it is empty; name a folder"],
    ),
    (
        "/var/2\"",
        "/var/2\"\nrecord = \"data/1\"",
        &["nodes[1].record: `data/1` is a data directory; name another folder"],
    ),
    (
        "/var/2\"",
        "/var/2\"\nrecord = \"\"",
        &["nodes[1].record: it is empty; name a folder"],
    ),
    (
        "/var/2\"",
        "/var/2\"\nrecord_bytes = 1000",
        &["nodes[1].record_bytes: 1000 bytes are soon full; choose at least 1048576"],
    ),
    (
        "/var/2\"",
        "/var/2\"\njournal = \"databse\"",
        &["unknown variant `databse`", "did you mean `database`?"],
    ),
];

#[test]
fn what_is_wrong_is_said_with_file_and_field() {
    for (replaced, by, expected) in BAD {
        let text = GOOD.replacen(replaced, by, 1);
        assert_ne!(text, GOOD, "{replaced} is in the good file");
        let said = load(&text).expect_err(by);
        assert!(said.contains("cluster.toml: "), "{by}: {said}");
        for part in *expected {
            assert!(said.contains(part), "{by}: `{part}` is not in\n{said}");
        }
    }
}

/// An unknown key that is like no other is not answered with a guess.
#[test]
fn what_is_like_nothing_known_is_no_slip_of_the_pen() {
    let said = load(&GOOD.replacen("cluster = ", "xyzzy = 1\ncluster = ", 1)).expect_err("bad");
    assert!(said.contains("unknown field `xyzzy`"), "{said}");
    assert!(!said.contains("did you mean"), "{said}");
}

/// What others dial and what is listened on are two things, where a file says so.
#[test]
fn every_node_may_listen_on_all_interfaces_of_its_machine() {
    let text = GOOD
        .replace("127.0.0.1:7401", "node-1:7400")
        .replace("127.0.0.1:7501", "[fd00::1]:7500")
        .replace("127.0.0.1:7411", "node-2.example:7400")
        .replace("127.0.0.1:7511", "10.0.0.2:7500")
        .replace("metrics_address = \"127.0.0.1:0\"\n", "")
        .replace(
            "data_directory",
            "peer_listen = \"0.0.0.0:7400\"\nclient_listen = \"[::]:7500\"\ndata_directory",
        );
    let config = load(&text).expect("good");
    for node in &config.nodes {
        assert_eq!(
            (node.peer_listen(), node.client_listen()),
            ("0.0.0.0:7400", "[::]:7500")
        );
        assert_eq!(node.metrics_address(), "0.0.0.0:7401");
    }
    assert_eq!(config.nodes[0].client_address, "[fd00::1]:7500");
    let plain = load(GOOD).expect("good");
    assert_eq!(plain.nodes[0].peer_listen(), "127.0.0.1:7401");
    assert_eq!(plain.nodes[0].client_listen(), "127.0.0.1:7501");
}

#[test]
fn a_cluster_has_nodes() {
    let said = load("cluster = \"blue\"\nsecurity.plaintext = true").expect_err("no nodes");
    assert!(
        said.contains("nodes: there is no node; list each node under [[nodes]]"),
        "{said}"
    );
}
