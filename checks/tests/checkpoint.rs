//! Searches that are kept and gone on with: nothing is different, and nothing is lost.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use checks::catalogue;
use checks::engine::{Bits, Engine, Limits, Reductions};
use checks::progress::Progress;
use checks::report::{Report, Verdict};
use checks::subject::Run;
use tempfile::tempdir;

use crate::support::on;

/// Verifies a model, or a mutant in it, and keeps the search in `file`.
fn kept(
    name: &str,
    mutant: Option<&str>,
    limits: &Limits,
    file: Option<&Path>,
) -> anyhow::Result<Report> {
    let model = catalogue::find(name, mutant).expect("in the catalogue");
    let traces = tempdir().expect("a folder");
    let run = Run {
        progress: &Arc::new(Progress::default()),
        traces: traces.path(),
        reductions: Reductions::STANDARD,
        seed: 0,
        checkpoint: file,
    };
    model.verify(Engine::Native, limits, &run)
}

fn up_to(max_states: u64, threads: usize) -> Limits {
    Limits {
        max_states: Some(max_states),
        ..on(threads)
    }
}

/// A search that is interrupted again and again, goes on with other threads and less memory each
/// time, and comes to the same in the end as one that is not interrupted.
#[test]
fn a_search_in_stages_comes_to_the_same_as_one_in_one_go() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("search");
    let name = "raft/connected";
    let whole = kept(name, None, &on(2), None).expect("a report");
    for (max_states, threads) in [(100, 2), (5_000, 1), (20_000, 2), (60_000, 2)] {
        let stage = kept(name, None, &up_to(max_states, threads), Some(&file));
        let stage = stage.expect("a report");
        assert_eq!(stage.verdict, Verdict::Bounded, "{}", stage.to_text());
        assert!((max_states..whole.unique).contains(&stage.unique));
        let outcome = stage.checkpoint.expect("it says what became of it");
        assert!(outcome.starts_with("kept in"), "{outcome}");
    }
    let limits = Limits {
        memory: Some(16 << 20),
        ..on(1)
    };
    let last = kept(name, None, &limits, Some(&file)).expect("a report");
    assert_eq!(last.verdict, Verdict::Verified, "{}", last.to_text());
    assert_eq!(last.unique, whole.unique);
    assert_eq!(last.generated, whole.generated);
    assert_eq!(last.depth, whole.depth);
    assert_eq!(last.fired, whole.fired);
    let holds = |report: &Report| {
        let rows = report.properties.iter();
        rows.map(|row| (row.name, row.holds)).collect::<Vec<_>>()
    };
    assert_eq!(holds(&last), holds(&whole));
}

/// What is found after an interruption is what would have been found without.
#[test]
fn a_counterexample_found_in_a_later_stage_is_the_same() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("search");
    let (name, mutant) = ("raft/divergence", Some("RAFT-VOTE-BY-LENGTH"));
    let whole = kept(name, mutant, &on(2), None).expect("a report");
    assert_eq!(whole.verdict, Verdict::Violated);
    let early = whole.unique / 3;
    let stage = kept(name, mutant, &up_to(early, 2), Some(&file)).expect("a report");
    assert_eq!(stage.verdict, Verdict::Bounded, "{}", stage.to_text());
    let last = kept(name, mutant, &on(2), Some(&file)).expect("a report");
    assert_eq!(last.violation, whole.violation);
    assert_eq!(last.steps, whole.steps);
}

/// What is in the file is not gone on with where it means something else, and is not touched.
#[test]
fn a_file_that_holds_something_else_is_refused_and_kept() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("search");
    let keep = |name| kept(name, None, &up_to(1_000, 1), Some(&file));
    keep("raft/divergence").expect("a report");
    let good = std::fs::read(&file).expect("the search is kept");
    let refused = |name, reason: &str| {
        let before = std::fs::read(&file).expect("the file is there");
        let Err(error) = keep(name) else {
            panic!("it is not refused: {reason}");
        };
        let error = format!("{error:#}");
        assert!(error.contains(reason), "{error}");
        assert!(error.contains("cannot go on from"), "{error}");
        let after = std::fs::read(&file).expect("the file is there");
        assert!(before == after, "it was touched: {error}");
    };
    refused("raft/connected", "it is of raft/divergence, reductions");
    let wide = Limits {
        fingerprints: Bits::Wide,
        ..up_to(1_000, 1)
    };
    let Err(error) = kept("raft/divergence", None, &wide, Some(&file)) else {
        panic!("what has other fingerprints is not refused");
    };
    let error = format!("{error:#}");
    assert!(error.contains("64-bit fingerprints, not of"), "{error}");
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for (content, reason) in [
        (damaged.as_slice(), "its checksum is wrong"),
        (&good[..good.len() - 100], "its checksum is wrong"),
        (&good[..9], "it ends too early"),
        (b"a shopping list", "it holds no search"),
        (b"", "it holds no search"),
    ] {
        std::fs::write(&file, content).expect("the file can be written");
        refused("raft/divergence", reason);
    }
    std::fs::write(&file, &good).expect("the file can be written");
    keep("raft/divergence").expect("what is whole is gone on with");
}

/// The file with other content between its first eight bytes and its checksum, which is right again.
fn with_content(file: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (magic, content) = file.split_at(8);
    let mut content = content[..content.len() - 4].to_vec();
    change(&mut content);
    let checksum = crc32fast::hash(&content).to_le_bytes();
    [magic, &content, &checksum].concat()
}

/// Lets the file's first value take `more` bytes more.
fn lengthen(content: &mut [u8], more: u64) {
    let len = u64::from_le_bytes(content[..8].try_into().expect("eight bytes"));
    content[..8].copy_from_slice(&(len + more).to_le_bytes());
}

/// Of a value there is one encoding, and behind it there is nothing.
#[test]
fn a_search_in_other_bytes_than_it_is_written_in_is_refused() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("search");
    let keep = || kept("raft/divergence", None, &up_to(1_000, 1), Some(&file));
    keep().expect("a report");
    let good = std::fs::read(&file).expect("the search is kept");
    let same = with_content(&good, |_| {});
    assert!(same == good, "the test knows how the file is built");
    let name = "raft/divergence".len() as u8;
    let first = 8 + u64::from_le_bytes(good[8..16].try_into().expect("eight bytes")) as usize;
    let behind_a_value = with_content(&good, |content| {
        content.insert(first, 0);
        lengthen(content, 1);
    });
    let overlong = with_content(&good, |content| {
        assert_eq!(
            content[8], name,
            "the length of the model's name comes first"
        );
        content.splice(8..9, [name | 0x80, 0]);
        lengthen(content, 1);
    });
    let behind_the_search = with_content(&good, |content| content.push(0));
    for (bytes, reason) in [
        (behind_a_value, "other bytes"),
        (overlong, "other bytes"),
        (behind_the_search, "1 bytes stand behind the search"),
    ] {
        std::fs::write(&file, bytes).expect("the file can be written");
        let Err(error) = keep() else {
            panic!("it is not refused: {reason}");
        };
        let error = format!("{error:#}");
        assert!(error.contains(reason), "{error}");
    }
    std::fs::write(&file, &good).expect("the file can be written");
    keep().expect("what is as it was written is gone on with");
}

/// Runs the program where no file may grow beyond so many blocks of 512 bytes: to whoever writes
/// that is a full disk.
#[cfg(unix)]
fn on_a_full_disk(folder: &Path, blocks: u32, arguments: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_checks");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {arguments}");
    Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .output()
        .expect("a shell")
}

#[cfg(unix)]
#[test]
fn on_a_full_disk_what_was_kept_before_is_still_there() {
    let folder = tempdir().expect("a folder");
    let first = "verify raft/connected --checkpoint search --max-states 2000";
    let output = on_a_full_disk(folder.path(), 1 << 20, first);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let file = folder.path().join("search");
    let kept = std::fs::read(&file).expect("the search is kept");
    let second = "verify raft/connected --checkpoint search --max-states 50000";
    let output = on_a_full_disk(folder.path(), 100, second);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("bounded"), "{output:?}");
    assert!(text.contains("NOT KEPT in search"), "{text}");
    assert!(std::fs::read(&file).expect("it is there") == kept);
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        1
    );
}

#[cfg(unix)]
#[test]
fn on_a_full_disk_a_search_that_must_wait_there_ends_as_incomplete() {
    let folder = tempdir().expect("a folder");
    let arguments = "verify raft/figure-8 --memory 16M --max-states 3000000";
    let output = on_a_full_disk(folder.path(), 1, arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text.contains("incomplete"), "{text}");
    assert!(
        text.contains("the disk took no more waiting states"),
        "{text}"
    );
}

#[test]
fn a_search_of_several_models_is_not_kept() {
    let folder = tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_checks"))
        .args(["verify", "raft", "--checkpoint", "search"])
        .current_dir(folder.path())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("name one"), "{error}");
}
