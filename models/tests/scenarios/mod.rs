//! Scenarios: short stories of whole clusters, as text files with all that happens in them.
//!
//! A file is a list of blocks: prose (`#`), commands, `----`, and what the commands did.
//! `UPDATE=1 cargo test -p models scenarios` writes the outputs anew; read the diff before
//! you keep it. After every action all invariants and laws are evaluated, and one that is
//! broken shows in the output as `VIOLATED`.
//!
//! A folder holds the scenarios of a protocol, and the file beside it says what the protocol
//! adds to the language. Commands that set the world up come first:
//!
//! - `cluster 3 [bag]`: three nodes, in-order channels (or `bag`: any order), and what options
//!   the protocol has
//! - `disk n0 FIELDS`: what a disk remembers at the start
//! - `client c0 REQUESTS`: what a client asks, in order
//!
//! Then:
//!
//! - `fire n0 TIMER`
//! - `deliver n0->n1`: the next message of the channel; `*` stands for any node; with `all`,
//!   until none is left that matches; with `last`, of a bag's messages the last one; with
//!   `quietly`, only what the nodes say of it is shown
//! - `drop`, `duplicate`: as `deliver`; a duplicate arrives and stays under way
//! - `crash n0`, `restart n0`, `crash n0 within deliver n1`, `crash n0 within fire TIMER`:
//!   within a step, its records are on disk and none of its effects has left
//! - `cut n0->n1`, `isolate n0`, `heal`
//! - `ask c0 n1`: the client asks the node the next request of its script, or again;
//!   with `unheard`, the answer is lost
//! - `settle [quietly]`: deliver until nothing is left to deliver
//! - `state`, `network`, `history`: show, change nothing

/// One test per file of a protocol's folder, and tests that none is left out and none violates
/// anything.
macro_rules! scenarios {
    ($protocol:ty, $folder:literal: $($name:ident)*) => {
        $(#[test]
        fn $name() {
            $crate::scenarios::check::<$protocol>($folder, stringify!($name));
        })*

        #[test]
        fn every_scenario_is_run_and_violates_nothing() {
            $crate::scenarios::check_folder($folder, &[$(stringify!($name)),*]);
        }
    };
}

mod bully;
mod counter;
mod difference;
mod interpreter;
mod maekawa;
mod narrator;
mod raft;
mod script;
mod told;
mod zab;

use std::fs;
use std::path::{Path, PathBuf};

use self::interpreter::Interpreter;
use self::script::Script;
use self::told::Told;

fn path(folder: &str, name: &str) -> PathBuf {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    scenarios.join(folder).join(name).with_extension("txt")
}

/// Runs the file's commands, and compares what they do with what it says.
fn check<P: Told>(folder: &str, name: &str) {
    let path = path(folder, name);
    let written = fs::read_to_string(&path).expect("the scenario's file");
    let mut script = Script::parse(&written);
    let mut interpreter = Interpreter::<P>::default();
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
        "{folder}/{name}: what happens differs from what is written \
         (- written, + happens; UPDATE=1 writes it anew):\n{}",
        difference::of(&written, &actual)
    );
}

/// A file that no test reads would be documentation that nobody checks. And none of these
/// stories breaks a property; those that should, are told by the mutants.
fn check_folder(folder: &str, listed: &[&str]) {
    let folder_path = path(folder, "any");
    let folder_path = folder_path.parent().expect("a folder");
    let entries = fs::read_dir(folder_path).expect("the scenarios' folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<String> = paths
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    files.sort();
    let mut listed = listed.to_vec();
    listed.sort_unstable();
    assert_eq!(files, listed, "{folder}");
    for name in listed {
        let written = fs::read_to_string(path(folder, name)).expect("the scenario's file");
        assert!(!written.contains("VIOLATED"), "{folder}/{name}");
    }
}
