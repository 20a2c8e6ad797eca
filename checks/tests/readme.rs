//! The README: each command line in it is run here, or stands in a list with the reason why not; and
//! what it shows is what is printed.
//!
//! Runs that would take minutes are made short by arguments that are added. A command of `checks`
//! that is not run must still be one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use checks::catalogue;
use checks::cli::Cli;
use clap::{CommandFactory as _, Parser as _};
use tempfile::tempdir;

/// How each command of `checks` begins.
const CHECKS: &str = "cargo run -p checks -- ";

/// What stands for what is left out: lines, or the rest of one.
const LEFT_OUT: &str = "…";

/// Commands of `checks` that are run in this order, what makes them short, and how they end then.
const RUN: [(&str, &str, i32); 9] = [
    ("verify raft/figure-8 --mutant RAFT-4", "", 1),
    (
        "replay traces/raft-figure-8.raft-4.whoever-can-be-elected-holds-what-is-committed.json \
         --svg docs/figure-8.svg",
        "",
        1,
    ),
    ("list", "", 0),
    ("verify --all", "--budget 0s", 3),
    ("engines", "--budget 0s", 3),
    (
        "verify raft/five-from-the-start --engine simulate",
        "--max-states 2000 --seed 1",
        0,
    ),
    (
        "verify raft/drawn --engine simulate",
        "--max-states 100000 --seed 1",
        0,
    ),
    ("mutants", "--budget 0s", 3),
    ("fuzz", "--budget 0s", 3),
];

/// Commands that are not run, and why.
const NOT_RUN: [(&str, &str); 37] = [
    (
        r#"echo '{"compare": [{"key": "colour", "value": "blue"}], "success": [{"put": {"key": "colour", "value": "red"}}]}' > txn.json"#,
        "the file of the command behind it",
    ),
    (
        "cargo run -p checks -- pairs",
        "takes a minute; the gate asks the same",
    ),
    (
        "cargo run -p checks -- explore",
        "serves until it is stopped; see tests/explore.rs and browser/",
    ),
    (
        "cargo run -p checks -- explore raft/reads",
        "serves until it is stopped; see tests/explore.rs and browser/",
    ),
    (
        "cargo run -p checks -- explore --trace FILE",
        "serves until it is stopped; see tests/explore.rs and browser/",
    ),
    (
        "cargo run -p checks -- replay FILE",
        "no file has this name; the example has one that has",
    ),
    (
        "cargo run -p checks -- mutants --generated bully",
        "builds a program of all mutants, which takes minutes; `gate` asks what came of it",
    ),
    ("cargo run -p checks -- gate", "takes minutes; .ci/run does"),
    (
        "cargo run -p checks -- gate zab --fail-fast",
        "takes a minute; .ci/run runs it for all protocols",
    ),
    ("cargo test --workspace", "is what runs this"),
    (
        "cargo bench -p benches",
        "takes minutes; .ci/run goes through it",
    ),
    ("benches/peers/compare", "needs SPIN; .ci/run does"),
    (
        "cargo run -p lockstep -- demo kv",
        "starts processes of another package; .ci/run does",
    ),
    (
        "cargo run -p lockstep -- node --config cluster.example.toml --id 1",
        "serves until it is stopped; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- status --config cluster.example.toml",
        "needs the cluster; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- config init kv --nodes 3 --tls",
        "is of another package; see impl/tests/secured_cluster.rs",
    ),
    (
        "cargo run -p lockstep -- certs init",
        "is of another package; see impl/tests/secured_cluster.rs",
    ),
    (
        "cargo run -p lockstep -- certs node --config cluster.toml",
        "is of another package; see impl/tests/secured_cluster.rs",
    ),
    (
        "cargo run -p lockstep -- config check cluster.toml",
        "is of another package; see impl/tests/secured_cluster.rs",
    ),
    (
        "cargo run -p lockstep -- kv --config cluster.example.toml put colour blue",
        "needs the cluster; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- kv --config cluster.example.toml get colour",
        "needs the cluster; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- kv --config cluster.example.toml txn txn.json",
        "needs the cluster; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- kv --config cluster.example.toml watch --from 1",
        "needs the cluster, and goes on until it is stopped; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- demo locks",
        "starts processes of another package; .ci/run does",
    ),
    (
        "cargo run -p lockstep -- orchestrator --config locks.example.toml",
        "serves until it is stopped; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- node --config locks.example.toml --id 1",
        "serves until it is stopped; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- lock --config locks.example.toml run nightly -- date",
        "needs the cluster; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- lock --config locks.example.toml show",
        "needs the cluster; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- demo counter",
        "starts processes of another package; .ci/run does",
    ),
    (
        "cargo run -p lockstep -- node --config counter.example.toml --id 1",
        "serves until it is stopped; see impl/tests",
    ),
    (
        "curl 'http://127.0.0.1:7541/inc?amount=5'",
        "needs the cluster; see impl/tests/counter_http.rs",
    ),
    (
        "curl http://127.0.0.1:7543/",
        "needs the cluster; see impl/tests/counter_http.rs",
    ),
    (
        "cargo run -p lockstep -- counter --config counter.example.toml --data-centre 2 inc 37",
        "needs the cluster; see impl/tests",
    ),
    (
        "cargo run -p lockstep -- demo heartbeat",
        "starts processes of another package; .ci/run does",
    ),
    (
        "cargo run -p lockstep -- heartbeat run --config heartbeat.example.toml --id 1 --data \
         data/heartbeat-1",
        "serves until it is stopped; see impl/tests/heartbeat_cli.rs",
    ),
    (
        "cargo run -p lockstep -- heartbeat run --config heartbeat.example.toml --id 4",
        "serves until it is stopped; see impl/tests/heartbeat_cli.rs",
    ),
    (
        "cargo run -p lockstep -- heartbeat members --config heartbeat.example.toml",
        "needs the members; see impl/tests/heartbeat_cli.rs",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// A command line of the README, and the lines that stand below it, if they show what it prints.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Option<Vec<String>>,
}

/// All command lines of a text, in blocks and in sentences.
fn shown(text: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for (position, part) in text.split("```").enumerate() {
        if position % 2 == 0 {
            let spans = part.split('`').skip(1).step_by(2);
            all.extend(spans.filter_map(in_a_sentence));
            continue;
        }
        let mut shows_output = false;
        for line in part.lines().filter(|line| !line.is_empty()) {
            if let Some(command) = line.strip_prefix("$ ") {
                shows_output = true;
                let output = Some(Vec::new());
                let command = bare(command);
                all.push(Shown { command, output });
            } else if shows_output {
                let last = all.last_mut().and_then(|last| last.output.as_mut());
                last.expect("a command stands above").push(line.to_owned());
            } else {
                let command = bare(line);
                all.push(Shown {
                    command,
                    output: None,
                });
            }
        }
    }
    all
}

/// Without the comment behind it.
fn bare(command: &str) -> String {
    let end = command.find(" #").unwrap_or(command.len());
    command[..end].trim().to_owned()
}

/// A command line in a sentence: one that names its program, or that of `checks` without it. The
/// name alone is none.
fn in_a_sentence(span: &str) -> Option<Shown> {
    let span = span.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = span.split(' ').next()?;
    let is_ours = Cli::command().find_subcommand(first).is_some() && first != span;
    let command = match first {
        "cargo" if first != span => span,
        "checks" if first != span => span.replacen("checks ", CHECKS, 1),
        _ if is_ours => format!("{CHECKS}{span}"),
        _ if span.starts_with("benches/") => span,
        _ => return None,
    };
    Some(Shown {
        command,
        output: None,
    })
}

/// Whether the lines are what the pattern leaves some of out of.
fn fits(pattern: &[String], lines: &[&str]) -> bool {
    match pattern.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == LEFT_OUT => {
            (0..=lines.len()).any(|from| fits(rest, &lines[from..]))
        }
        Some((first, rest)) => lines.split_first().is_some_and(|(line, others)| {
            let is_like = match first.strip_suffix(LEFT_OUT) {
                Some(beginning) => line.starts_with(beginning),
                None => line == first,
            };
            is_like && fits(rest, others)
        }),
    }
}

/// Each command line is in one of the lists, and nothing is in the lists that is not there.
#[test]
fn each_command_is_run_or_has_a_reason_not_to_be() {
    let there: BTreeSet<String> = shown(&readme())
        .into_iter()
        .map(|row| row.command)
        .collect();
    let run = RUN.iter().map(|(command, ..)| format!("{CHECKS}{command}"));
    let not_run = NOT_RUN.iter().map(|(command, _)| (*command).to_owned());
    let known: BTreeSet<String> = run.chain(not_run).collect();
    let new: Vec<_> = there.difference(&known).collect();
    assert!(new.is_empty(), "run it, or say why not: {new:#?}");
    let gone: Vec<_> = known.difference(&there).collect();
    assert!(gone.is_empty(), "not in the README any more: {gone:#?}");
}

/// Each command of `checks` is one, whether it is run or not.
#[test]
fn each_command_of_checks_is_understood() {
    for row in shown(&readme()) {
        if let Some(arguments) = row.command.strip_prefix(CHECKS) {
            let words = std::iter::once("checks").chain(arguments.split(' '));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{}: {error}", row.command);
            }
        }
    }
}

/// The table of features names commands and models that there are.
#[test]
fn each_command_of_checks_in_the_table_of_features_is_understood() {
    let text = fs::read_to_string(root().join("docs/features.md")).expect("the table");
    let commands: Vec<&str> = text
        .split('`')
        .filter_map(|span| span.strip_prefix(CHECKS))
        .collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for arguments in commands {
        let words = std::iter::once("checks").chain(arguments.split(' '));
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{arguments}: {error}");
        }
        let named = arguments.split(' ').find(|word| word.contains('/'));
        assert!(
            named.is_none_or(|name| catalogue::find(name, None).is_some()),
            "{arguments}"
        );
    }
}

/// What can be run ends as it should and prints what stands there, and the picture is the one that
/// it draws.
#[test]
fn what_is_shown_is_what_is_printed() {
    let folder = tempdir().expect("a folder");
    fs::create_dir(folder.path().join("docs")).expect("a folder");
    let shown = shown(&readme());
    for (command, shorter, code) in RUN {
        let line = format!("{CHECKS}{command}");
        let here = shown.iter().filter(|row| row.command == line);
        let output = Command::new(env!("CARGO_BIN_EXE_checks"))
            .args(command.split(' '))
            .args(shorter.split_whitespace())
            .current_dir(folder.path())
            .output()
            .expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}\n{text}\n{error}");
        let lines: Vec<&str> = text.lines().collect();
        for pattern in here.filter_map(|row| row.output.as_ref()) {
            assert!(fits(pattern, &lines), "{line} prints\n{text}");
        }
    }
    let drawn = fs::read(folder.path().join("docs/figure-8.svg")).expect("it is drawn");
    let there = fs::read(root().join("docs/figure-8.svg")).expect("it is there");
    assert!(
        drawn == there,
        "docs/figure-8.svg is not what the README's command draws"
    );
}

#[test]
fn there_are_as_many_mutants_as_it_says() {
    let text = readme();
    let (before, _) = text
        .split_once(" ways to get the protocols wrong")
        .expect("a number");
    let number = before.rsplit(' ').next().expect("a word");
    let number: usize = number.parse().expect("a number");
    let mutants = catalogue::protocols()
        .iter()
        .map(|row| row.mutants.len())
        .sum();
    assert!(number < mutants, "there are {mutants}");
}

/// What the test above rests on: what is left out may be anything, and nothing else may.
#[test]
fn what_does_not_fit_is_told() {
    let lines = ["verified  12 states", "  hold: all", "1 model"];
    let fits = |pattern: &str| {
        let pattern: Vec<String> = pattern.lines().map(str::to_owned).collect();
        fits(&pattern, &lines)
    };
    assert!(fits("verified …\n…\n1 model") && fits("…"));
    assert!(!fits("violated …\n…\n1 model") && !fits("verified …\n1 model") && !fits("verified …"));
}
