//! Keys and values of any bytes, through the command line and real nodes.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::kv::store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::kv_cli::{PROGRAM, err, out};

/// One node, and its command line.
struct Store {
    _nodes: Processes,
    address: String,
}

impl Store {
    fn start() -> Self {
        let nodes = Processes::start(Path::new(PROGRAM), 1, Timing::default()).expect("starts");
        let address = nodes.client_addresses()[0].clone();
        Self {
            _nodes: nodes,
            address,
        }
    }

    fn kv<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        self.kv_with(arguments, b"")
    }

    /// With `input` as standard input.
    fn kv_with<A: AsRef<OsStr>>(&self, arguments: &[A], input: &[u8]) -> Output {
        let mut child = Command::new(PROGRAM)
            .args(["kv", "--node", &self.address])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("RUST_LOG")
            .spawn()
            .expect("starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that reads nothing, or not all, closes its end.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().expect("ends")
    }

    fn get(&self, key: &str) -> Vec<u8> {
        let got = self.kv(&["get", key]);
        assert!(got.status.success(), "{key}: {}", err(&got));
        got.stdout
    }
}

/// Every byte there is, `length` times over in all.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251 + at / 251) as u8).collect()
}

#[test]
fn a_value_may_come_from_standard_input_a_file_or_an_argument_of_any_bytes() {
    let store = Store::start();
    let folder = tempdir().expect("a folder");
    let largest = bytes(MAX_VALUE_BYTES);
    let put = store.kv_with(&["put", "piped", "-"], &largest);
    assert!(put.status.success(), "{}", err(&put));
    assert!(store.get("piped") == largest, "what went in comes out");
    let file = folder.path().join("value");
    fs::write(&file, bytes(200_000)).expect("written");
    let put = store.kv(&[
        OsStr::new("put"),
        OsStr::new("filed"),
        OsStr::new("--file"),
        file.as_os_str(),
    ]);
    assert!(put.status.success(), "{}", err(&put));
    assert!(store.get("filed") == bytes(200_000));
    let odd = OsString::from_vec(b"\xff\xfe\n".to_vec());
    let put = store.kv(&[OsStr::new("put"), OsStr::new("odd"), &odd]);
    assert!(put.status.success(), "{}", err(&put));
    assert_eq!(store.get("odd"), b"\xff\xfe\n");
    let put = store.kv_with(&["put", "empty", "-"], b"");
    assert!(put.status.success(), "{}", err(&put));
    assert_eq!(store.get("empty"), b"");
    for value in ["-5", "-", "--file"] {
        let put = store.kv(&["put", "hyphen", "--", value]);
        assert!(put.status.success(), "{value}: {}", err(&put));
    }
    assert_eq!(store.get("hyphen"), b"--file");
}

#[test]
fn a_value_that_is_too_large_or_not_there_is_refused_before_anything_is_sent() {
    // Nobody is there: what is said comes from the command itself.
    let kv = |arguments: &[&str], input: &[u8]| {
        let store = ["--node", "127.0.0.1:1", "--timeout", "1"];
        let mut child = Command::new(PROGRAM)
            .arg("kv")
            .args(store)
            .args(arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stdin = child.stdin.take().expect("piped");
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().expect("ends")
    };
    let folder = tempdir().expect("a folder");
    let large = folder.path().join("large");
    fs::write(&large, bytes(MAX_VALUE_BYTES + 1)).expect("written");
    let large = large.to_str().expect("text");
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    let refused: &[(&[&str], &str)] = &[
        (
            &["put", "k", "-"],
            "standard input holds more than the 1048576 bytes (1 MiB)",
        ),
        (
            &["put", "k", "--file", large],
            "large holds more than the 1048576 bytes (1 MiB)",
        ),
        (
            &["put", "k", "--file", "/nowhere"],
            "/nowhere cannot be read, and nothing was sent",
        ),
        (&["put", "", "v"], "nothing was sent: the key is empty"),
        (
            &["put", &long, "v"],
            "nothing was sent: the key has 4097 bytes",
        ),
        (&["get", "--key-hex", "0"], "the key `0` is no hexadecimal"),
        (&["delete", "--key-base64", "!"], "the key `!` is no base64"),
        (&["put", "k"], "required"),
        (&["put", "k", "v", "--file", large], "cannot be used with"),
        (
            &["get", "--key-hex", "--key-base64", "00"],
            "cannot be used with",
        ),
    ];
    for (arguments, words) in refused {
        let output = kv(arguments, &bytes(MAX_VALUE_BYTES + 1));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            err(&output).contains(words),
            "{arguments:?}: {}",
            err(&output)
        );
        assert!(!err(&output).contains("reached"), "{}", err(&output));
    }
}

#[test]
fn a_key_is_any_bytes_and_is_taken_for_nothing_but_itself() {
    let store = Store::start();
    // Written in one form, the same key is found in every other.
    let forms: &[(&[&str], &[&str])] = &[
        (&["--key-hex", "00ff"], &["--key-base64", "AP8="]),
        (&["--key-base64", "AP8"], &["--key-hex", "00FF"]),
        (&["--key-hex", "6b6579"], &["key"]),
        (&["base64:QQ=="], &["--key-hex", "6261736536343a51513d3d"]),
        (&["."], &["--key-hex", "2e"]),
        (&[".."], &["--key-base64", "Li4="]),
        (&["a/../b"], &["--key-hex", "612f2e2e2f62"]),
        (&["%2e"], &["--key-hex", "253265"]),
    ];
    for (at, (written, read)) in forms.iter().enumerate() {
        let value = at.to_string();
        let put = store.kv(&[&["put"], *written, &[value.as_str()]].concat());
        assert!(put.status.success(), "{written:?}: {}", err(&put));
        let got = store.kv(&[&["get"], *read].concat());
        assert_eq!(out(&got), value, "{read:?}: {}", err(&got));
    }
    let odd = OsString::from_vec(b"\xff".to_vec());
    let put = store.kv(&[OsStr::new("put"), &odd, OsStr::new("raw")]);
    assert!(put.status.success(), "{}", err(&put));
    assert_eq!(out(&store.kv(&["get", "--key-hex", "ff"])), "raw");
    for key in [".", ".."] {
        assert_eq!(store.kv(&["delete", key]).status.code(), Some(0));
        assert_eq!(store.kv(&["get", key]).status.code(), Some(1));
    }
}

#[test]
fn an_output_file_has_the_whole_value_or_is_as_it_was() {
    let store = Store::start();
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("value");
    let path = file.to_str().expect("text");
    let put = store.kv_with(&["put", "k", "-"], &bytes(300_000));
    assert!(put.status.success(), "{}", err(&put));
    let missing = store.kv(&["get", "missing", "--output", path]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(names_in(folder.path()), [""; 0], "nothing is left behind");
    let got = store.kv(&["get", "k", "--output", path]);
    assert!(got.status.success(), "{}", err(&got));
    assert_eq!(out(&got), "");
    assert!(fs::read(&file).expect("there") == bytes(300_000));
    assert_eq!(names_in(folder.path()), ["value"], "and nothing beside it");
    // An existing file keeps its mode, is replaced through a link, and stays if there is no value.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).expect("its owner may");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("linked");
    assert!(store.kv(&["put", "k", "new"]).status.success());
    let through = link.to_str().expect("text");
    assert_eq!(
        store
            .kv(&["get", "missing", "--output", through])
            .status
            .code(),
        Some(1)
    );
    assert!(fs::read(&file).expect("there") == bytes(300_000));
    assert!(
        store
            .kv(&["get", "k", "--output", through])
            .status
            .success()
    );
    assert_eq!(fs::read(&file).expect("there"), b"new");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    let mode = fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o604);
    // A device is written to, and a folder is not.
    assert!(
        store
            .kv(&["get", "k", "--output", "/dev/null"])
            .status
            .success()
    );
    assert!(!fs::metadata("/dev/null").expect("there").is_file());
    let refused = store.kv(&["get", "k", "--output", "/dev"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        err(&refused).contains("/dev cannot be written"),
        "{}",
        err(&refused)
    );
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[test]
fn a_listing_shows_every_key_with_its_prefix_once_and_in_order() {
    let store = Store::start();
    // More than a page: a page ends at a megabyte.
    for at in 0..5 {
        let put = store.kv_with(&["put", &format!("large/{at}"), "-"], &bytes(400_000));
        assert!(put.status.success(), "{}", err(&put));
    }
    let put = store.kv_with(&["put", "--key-hex", "ff0a", "-"], b"a\tb\xfe");
    assert!(put.status.success(), "{}", err(&put));
    assert!(store.kv(&["put", "plain", "text"]).status.success());
    let keys = store.kv(&["list", "--keys-only"]);
    let expected = "large/0\nlarge/1\nlarge/2\nlarge/3\nlarge/4\nplain\n\\xff\\n\n";
    assert_eq!(out(&keys), expected, "{}", err(&keys));
    let some = store.kv(&["list", "large/", "--keys-only", "--limit", "4"]);
    assert_eq!(out(&some), "large/0\nlarge/1\nlarge/2\nlarge/3\n");
    let one = store.kv(&["list", "--key-hex", "ff"]);
    assert_eq!(out(&one), "\\xff\\n\ta\\tb\\xfe\n");
    let json = store.kv(&["list", "--json", "--key-base64", "/w=="]);
    let object: Value = serde_json::from_str(&out(&json)).expect("one line of JSON");
    let expected = json!({ "key_base64": "/wo=", "value_base64": "YQli/g==", "revision": 7,
        "create_revision": 7, "version": 1 });
    assert_eq!(object, expected);
    let json = store.kv(&["list", "--json", "--keys-only", "plain"]);
    assert_eq!(
        out(&json),
        "{\"create_revision\":8,\"key\":\"plain\",\"revision\":8,\"version\":1}\n"
    );
    let none = store.kv(&["list", "nothing"]);
    assert_eq!((none.status.code(), out(&none).as_str()), (Some(0), ""));
}

/// The bytes of an argument are not only looked at as text.
#[test]
fn a_prefix_is_any_bytes() {
    let store = Store::start();
    assert!(
        store
            .kv(&["put", "--key-hex", "ff01", "v"])
            .status
            .success()
    );
    let listed = store.kv(&[OsStr::new("list"), OsStr::from_bytes(b"\xff")]);
    assert_eq!(out(&listed), "\\xff\\u{1}\tv\n", "{}", err(&listed));
}
