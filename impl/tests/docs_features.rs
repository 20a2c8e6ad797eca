//! The table of features: each command of `lockstep` in it is one.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::program::{PROGRAM, succeeded};

/// The words that name a command: those before its arguments.
fn subcommand(span: &str) -> Option<Vec<&str>> {
    let words = span.strip_prefix("lockstep ")?.split(' ');
    let is_word = |word: &&str| {
        word.chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '-')
    };
    let named = words.filter(|word| *word != "\u{2026}");
    let named = named.take_while(|word| is_word(word) && !word.starts_with('-'));
    Some(named.collect())
}

#[test]
fn each_command_is_one() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/features.md");
    let table = fs::read_to_string(table).expect("the table");
    let commands: Vec<_> = table.split('`').filter_map(subcommand).collect();
    assert!(commands.len() > 30, "{commands:?}");
    for command in commands {
        let output = Command::new(PROGRAM).args(&command).arg("--help").output();
        let help = succeeded(&output.expect("runs"));
        let usage = format!("lockstep {}", command.join(" "));
        assert!(help.contains(&usage), "{usage} is not\n{help}");
    }
}
