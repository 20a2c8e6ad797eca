//! Scenarios: short stories of whole clusters, as text files with all that happens in them.
//!
//! A file is a list of blocks: prose (`#`), commands, `----`, and what the commands did.
//! `UPDATE=1 cargo test -p models scenarios` writes the outputs anew; read the diff before
//! you keep it. After every action all invariants and laws are evaluated, and one that is
//! broken shows in the output as `VIOLATED`.
//!
//! Commands that set the world up come first:
//!
//! - `cluster 3 [bag] [entries=1]`: three nodes, in-order channels (or `bag`: any order), so
//!   many entries at most in one append
//! - `disk n0 term=3 vote=n1 log=1,1,2`: what a disk remembers at the start
//! - `client c0 add=5 read`: what a client asks, in order
//!
//! Then:
//!
//! - `fire n0 election`, `fire n0 heartbeat`
//! - `deliver n0->n1`: the next message of the channel; `*` stands for any node; with `all`,
//!   until none is left that matches; with `last`, of a bag's messages the last one; with
//!   `quietly`, only what the nodes say of it is shown
//! - `drop`, `duplicate`: as `deliver`; a duplicate arrives and stays under way
//! - `crash n0`, `restart n0`, `crash n0 within deliver n1`, `crash n0 within fire election`:
//!   within a step, its records are on disk and none of its effects has left
//! - `cut n0->n1`, `isolate n0`, `heal`
//! - `ask c0 n1`: the client asks the node the next request of its script, or again
//! - `settle [quietly]`: deliver until nothing is left to deliver
//! - `state`, `log`, `network`, `history`: show, change nothing

mod difference;
mod interpreter;
mod narrator;
mod script;

use std::fs;
use std::path::{Path, PathBuf};

use self::interpreter::Interpreter;
use self::script::Script;

/// One test per file.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    a_first_election
    a_split_vote
    figure_7
    figure_8_d
    figure_8_e
    a_deposed_leader
    a_vote_survives_a_crash
    a_retried_command
    a_read_waits_for_its_round
    a_read_is_redirected
    conflict_hints
    a_late_append
    a_partition
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Runs the file's commands, and compares what they do with what it says.
fn check(name: &str) {
    let path = folder().join(name).with_extension("txt");
    let written = fs::read_to_string(&path).expect("the scenario's file");
    let mut script = Script::parse(&written);
    let mut interpreter = Interpreter::default();
    for block in &mut script.blocks {
        block.output = interpreter.run_all(&block.commands);
    }
    let actual = script.to_string();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &actual).expect("the scenario's file is writable");
        return;
    }
    assert!(
        actual == written,
        "{name}: what happens differs from what is written \
         (- written, + happens; UPDATE=1 writes it anew):\n{}",
        difference::of(&written, &actual)
    );
}

/// A file that no test reads would be documentation that nobody checks.
#[test]
fn every_scenario_is_run() {
    let entries = fs::read_dir(folder()).expect("the scenarios' folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "txt");
    let mut files: Vec<String> = paths
        .filter(is_text)
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    files.sort();
    let mut listed: Vec<String> = LISTED.iter().map(|&name| name.to_owned()).collect();
    listed.sort();
    assert_eq!(files, listed);
}

/// None of these stories breaks a property; those that should, are told by the mutants.
#[test]
fn no_scenario_violates_anything() {
    for name in LISTED {
        let path = folder().join(name).with_extension("txt");
        let written = fs::read_to_string(path).expect("the scenario's file");
        assert!(!written.contains("VIOLATED"), "{name}");
    }
}

/// The evaluation is not vacuous: a vote that a broken step gives away twice is reported.
#[test]
fn a_broken_property_is_reported() {
    let mut interpreter = Interpreter::default();
    interpreter.run_all(&["cluster 3".to_owned()]);
    interpreter.sabotage(|raft, node, input, out| {
        use models::Protocol;
        use models::raft::state::Record;
        if let models::Input::Deliver { .. } = input {
            let term = node.durable().current_term;
            node.write(Record::Ballot {
                term,
                voted_for: None,
            });
        }
        raft.step(node, input, out);
    });
    let lines = |commands: &[&str], interpreter: &mut Interpreter| {
        let commands: Vec<String> = commands.iter().map(|&line| line.to_owned()).collect();
        interpreter.run_all(&commands)
    };
    let honest = lines(
        &["fire n0 election", "fire n1 election", "deliver n0->n2"],
        &mut interpreter,
    );
    assert!(!honest.contains("VIOLATED"), "{honest}");
    let broken = lines(&["deliver n1->n2"], &mut interpreter);
    assert!(broken.contains("VIOLATED One vote per term"), "{broken}");
}
