//! The replicated files, against a plain map of byte strings.

use std::collections::BTreeMap;

use bytes::Bytes;
use lockstep::files::Files;
use lockstep::files::store::changes::{ChangeKind, MAX_REMEMBERED};
use lockstep::files::store::command::{MAX_CONTENT_BYTES, MAX_OPERATIONS, Unfit, check_command};
use lockstep::files::store::{
    Command, Fault, MAX_FILE_BYTES, MAX_STATE_BYTES, Operation, Query, Response,
};
use models::machine::StateMachine;
use proptest::collection::vec;
use proptest::prelude::*;

fn create(path: &str, text: &str) -> Operation {
    Operation::Create {
        path: path.into(),
        content: text.to_owned().into(),
    }
}

fn append(path: &str, text: &str, if_version: Option<u64>) -> Operation {
    Operation::Append {
        path: path.into(),
        content: text.to_owned().into(),
        if_version,
    }
}

fn delete(path: &str, if_version: Option<u64>) -> Operation {
    Operation::Delete {
        path: path.into(),
        if_version,
    }
}

fn check(path: &str, version: Option<u64>) -> Operation {
    let path = path.into();
    Operation::Check { path, version }
}

fn apply(files: &mut Files, operations: Vec<Operation>) -> Response {
    let time_ms = 1000 + files.position();
    files.apply(&Command {
        operations,
        time_ms,
    })
}

fn read(files: &Files, path: &str) -> Option<Vec<u8>> {
    let query = Query::Read {
        path: path.into(),
        offset: 0,
        length: u64::MAX,
    };
    match files.query(&query) {
        Response::Content(found) => found.map(|part| part.segments.concat()),
        other => panic!("{other:?}"),
    }
}

fn done(position: u64, sizes: &[Option<u64>]) -> Response {
    let sizes = sizes.to_vec();
    Response::Done { position, sizes }
}

fn failed(position: u64, index: usize, fault: Fault) -> Response {
    Response::Failed {
        position,
        index,
        fault,
    }
}

#[test]
fn a_file_lives_through_its_versions() {
    let mut files = Files::default();
    assert_eq!(
        apply(&mut files, vec![create("a", "one")]),
        done(1, &[Some(3)])
    );
    let again = apply(&mut files, vec![create("a", "two")]);
    assert_eq!(again, failed(2, 0, Fault::Exists { version: 1 }));
    let appended = apply(&mut files, vec![append("a", " two", Some(1))]);
    assert_eq!(appended, done(3, &[Some(7)]));
    let stale = apply(&mut files, vec![append("a", "!", Some(1))]);
    assert_eq!(stale, failed(4, 0, Fault::OtherVersion { version: 3 }));
    assert_eq!(read(&files, "a"), Some(b"one two".to_vec()));
    let replace = Operation::Replace {
        path: "a".into(),
        content: "new".into(),
        if_version: 3,
    };
    assert_eq!(apply(&mut files, vec![replace]), done(5, &[Some(3)]));
    let Response::Stat(Some(stat)) = files.query(&Query::Stat { path: "a".into() }) else {
        panic!("it is there");
    };
    assert_eq!((stat.version, stat.created, stat.size), (5, 1, 3));
    assert_eq!((stat.created_ms, stat.modified_ms), (1000, 1004));
    assert_eq!(
        apply(&mut files, vec![delete("a", Some(5))]),
        done(6, &[None])
    );
    assert_eq!(
        apply(&mut files, vec![delete("a", None)]),
        failed(7, 0, Fault::Missing)
    );
    assert_eq!(
        apply(&mut files, vec![append("a", "", None)]),
        failed(8, 0, Fault::Missing)
    );
    // One that is made again has never a version that the one before had.
    assert_eq!(
        apply(&mut files, vec![create("a", "")]),
        done(9, &[Some(0)])
    );
    assert!(files.tree().bytes() < 1000);
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let mut files = Files::default();
    apply(&mut files, vec![create("a", "x"), create("b", "y")]);
    let before = files.tree().clone();
    let failing = vec![
        check("a", Some(1)),
        delete("a", None),
        append("b", "z", None),
        create("b", ""),
    ];
    let answer = apply(&mut files, failing);
    assert_eq!(answer, failed(2, 3, Fault::Exists { version: 2 }));
    assert_eq!(*files.tree(), before);
    // Each operation sees what those before it have done.
    let moved = vec![
        check("c", None),
        check("a", Some(1)),
        create("c", "x"),
        delete("a", Some(1)),
        append("c", "!", None),
    ];
    let answer = apply(&mut files, moved);
    assert_eq!(answer, done(3, &[None, Some(1), Some(1), None, Some(2)]));
    assert_eq!(read(&files, "a"), None);
    assert_eq!(read(&files, "c"), Some(b"x!".to_vec()));
    let changes = files.changes().after(1).expect("remembered");
    assert_eq!(changes.len(), 1, "what failed has changed nothing");
    let kinds: Vec<_> = changes[0].files.iter().map(|file| file.kind).collect();
    assert_eq!(
        kinds,
        [
            ChangeKind::Created,
            ChangeKind::Deleted,
            ChangeKind::Appended
        ]
    );
}

#[test]
fn limits_are_kept_and_nothing_is_changed_over_them() {
    let mut files = Files::default();
    let piece = Bytes::from(vec![7; MAX_CONTENT_BYTES]);
    let add = |files: &mut Files, path: &str| {
        let operation = Operation::Append {
            path: path.into(),
            content: piece.clone(),
            if_version: None,
        };
        apply(files, vec![operation])
    };
    let pieces = MAX_FILE_BYTES / MAX_CONTENT_BYTES as u64;
    apply(&mut files, vec![create("0", "")]);
    for _ in 0..pieces {
        assert!(matches!(add(&mut files, "0"), Response::Done { .. }));
    }
    let over = MAX_FILE_BYTES + MAX_CONTENT_BYTES as u64;
    let answer = add(&mut files, "0");
    assert!(
        matches!(answer, Response::Failed { fault: Fault::FileTooLarge { bytes }, .. } if bytes == over),
        "{answer:?}"
    );
    // The content of all files is the same bytes, shared: this takes little memory.
    'full: for file in 1.. {
        let path = file.to_string();
        apply(&mut files, vec![create(&path, "")]);
        for _ in 0..pieces {
            let before = files.tree().bytes();
            match add(&mut files, &path) {
                Response::Done { .. } => {}
                Response::Failed {
                    fault: Fault::Full { bytes },
                    ..
                } => {
                    assert!(bytes > MAX_STATE_BYTES && before <= MAX_STATE_BYTES);
                    assert_eq!(files.tree().bytes(), before);
                    break 'full;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    // What is deleted makes room.
    apply(&mut files, vec![delete("0", None)]);
    assert!(matches!(add(&mut files, "1"), Response::Failed { .. }));
    assert!(matches!(
        apply(&mut files, vec![create("x", "y")]),
        Response::Done { .. }
    ));
}

#[test]
fn commands_that_no_node_takes_are_told_apart() {
    let command = |operations| Command {
        operations,
        time_ms: 0,
    };
    assert_eq!(check_command(&command(vec![])), Err(Unfit::NoOperations));
    let many = vec![delete("a", None); MAX_OPERATIONS + 1];
    assert_eq!(
        check_command(&command(many)),
        Err(Unfit::TooManyOperations(MAX_OPERATIONS + 1))
    );
    let half = "x".repeat(MAX_CONTENT_BYTES / 2 + 1);
    let two = vec![create("a", &half), create("b", &half)];
    assert_eq!(
        check_command(&command(two)),
        Err(Unfit::TooMuchContent(MAX_CONTENT_BYTES + 2))
    );
    let error = check_command(&command(vec![delete("a", None), delete("a//b", None)]));
    let words = error.expect_err("refused").to_string();
    assert!(
        words.starts_with("operation 1: the path `a//b` has an empty part"),
        "{words}"
    );
}

#[test]
fn changes_are_remembered_and_the_oldest_forgotten() {
    let mut files = Files::default();
    for number in 0..MAX_REMEMBERED + 10 {
        apply(&mut files, vec![create(&number.to_string(), "")]);
    }
    assert_eq!(files.changes().forgotten(), 10);
    assert_eq!(files.changes().after(9), None);
    let all = files.changes().after(10).expect("remembered");
    assert_eq!(all.len() as u64, MAX_REMEMBERED);
    assert_eq!(all[0].position, 11);
    let last = files
        .changes()
        .after(files.position() - 1)
        .expect("remembered");
    assert_eq!(last.len(), 1);
    assert_eq!(files.changes().after(files.position()), Some(vec![]));
}

#[test]
fn a_list_is_paged() {
    let mut files = Files::default();
    for path in ["b/2", "a", "b/1", "b", "c", "b/3"] {
        apply(&mut files, vec![create(path, path)]);
    }
    let list = |prefix: &str, after: Option<&str>, limit| {
        let (entries, more) = files.tree().list(prefix, after, limit);
        let paths: Vec<String> = entries.into_iter().map(|(path, _)| path).collect();
        (paths.join(" "), more)
    };
    assert_eq!(list("", None, 100), ("a b b/1 b/2 b/3 c".into(), false));
    assert_eq!(list("b/", None, 2), ("b/1 b/2".into(), true));
    assert_eq!(list("b/", Some("b/2"), 2), ("b/3".into(), false));
    assert_eq!(list("b/", Some("a"), 1), ("b/1".into(), true));
    assert_eq!(list("d", None, 1), (String::new(), false));
}

/// One operation on few paths, so that they meet.
fn operation() -> impl Strategy<Value = Operation> {
    let path = prop::sample::select(vec!["a", "b", "a/b", "ø"]).prop_map(str::to_owned);
    let content = vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    let version = prop::option::of(0u64..30);
    (0..5u8, path, content, version).prop_map(|(kind, path, content, version)| match kind {
        0 => Operation::Create { path, content },
        1 => Operation::Append {
            path,
            content,
            if_version: version.filter(|version| version % 3 == 0),
        },
        2 => Operation::Replace {
            path,
            content,
            if_version: version.unwrap_or(1),
        },
        3 => Operation::Delete {
            path,
            if_version: version.filter(|version| version % 3 == 0),
        },
        _ => Operation::Check { path, version },
    })
}

/// What the files must be: content and version.
type Plain = BTreeMap<String, (Vec<u8>, u64)>;

fn carry_out(plain: &mut Plain, operation: &Operation, position: u64) -> bool {
    let have = plain.get(operation.path()).cloned();
    let is = |wanted: Option<u64>| {
        { have.as_ref() }.is_some_and(|(_, version)| wanted.is_none_or(|wanted| wanted == *version))
    };
    let path = operation.path().to_owned();
    let holds = match operation {
        Operation::Create { .. } => have.is_none(),
        Operation::Append { if_version, .. } | Operation::Delete { if_version, .. } => {
            is(*if_version)
        }
        Operation::Replace { if_version, .. } => is(Some(*if_version)),
        Operation::Check { version, .. } => match version {
            None => have.is_none(),
            some => is(*some),
        },
    };
    if !holds {
        return false;
    }
    match operation {
        Operation::Create { content, .. } | Operation::Replace { content, .. } => {
            plain.insert(path, (content.to_vec(), position));
        }
        Operation::Append { content, .. } => {
            let (mut bytes, _) = have.unwrap_or_default();
            bytes.extend_from_slice(content);
            plain.insert(path, (bytes, position));
        }
        Operation::Delete { .. } => {
            plain.remove(&path);
        }
        Operation::Check { .. } => {}
    }
    true
}

proptest! {
    /// Any commands, on a copy that is taken in the middle as well: a snapshot must not change with
    /// what it was taken from.
    #[test]
    fn files_are_what_a_plain_map_says(commands in vec(vec(operation(), 1..4), 0..40)) {
        let mut files = Files::default();
        let mut plain = Plain::new();
        let mut snapshots = Vec::new();
        for operations in commands {
            let position = files.position() + 1;
            let before = plain.clone();
            let holds = operations.iter().position(|one| !carry_out(&mut plain, one, position));
            if holds.is_some() {
                plain = before;
            }
            let answer = apply(&mut files, operations);
            match (&answer, holds) {
                (Response::Done { position: at, .. }, None) => prop_assert_eq!(*at, position),
                (Response::Failed { index, .. }, Some(expected)) => {
                    prop_assert_eq!(*index, expected);
                }
                _ => prop_assert!(false, "{:?} but {:?}", answer, holds),
            }
            snapshots.push((files.clone(), plain.clone()));
        }
        for (files, plain) in snapshots {
            let found: Plain = files
                .tree()
                .iter()
                .map(|(path, file)| {
                    let bytes = file.content.range(0, u64::MAX).concat();
                    (path.clone(), (bytes, file.stat.version))
                })
                .collect();
            prop_assert_eq!(found, plain);
            let weight: u64 = { files.tree().iter() }
                .map(|(path, file)| path.len() as u64 + file.stat.size + 256)
                .sum();
            prop_assert_eq!(files.tree().bytes(), weight);
        }
    }

    /// Replicas that have applied the same are the same, and other commands give another checksum.
    #[test]
    fn equal_commands_give_equal_states(commands in vec(operation(), 1..20)) {
        let (mut one, mut other) = (Files::default(), Files::default());
        for operation in &commands {
            apply(&mut one, vec![operation.clone()]);
            apply(&mut other, vec![operation.clone()]);
        }
        prop_assert_eq!(&one, &other);
        let last = commands.last().cloned().expect("one at least");
        let before = one.checksum();
        apply(&mut one, vec![last]);
        prop_assert_ne!(one.checksum(), before);
    }
}
