//! The command line: exit codes, JSON and nothing but JSON, messages that help.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::tempdir;

fn checks(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_checks"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "standard output is not JSON: {error}\n{}",
            String::from_utf8_lossy(&output.stdout)
        )
    })
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn has_fields(row: &Value, fields: &[&str]) {
    for field in fields {
        assert!(row.get(field).is_some(), "no {field} in {row}");
    }
}

#[test]
fn list_prints_every_model_as_json() {
    let folder = tempdir().expect("a folder");
    let output = checks(folder.path(), &["list", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let rows = json(&output);
    let rows = rows.as_array().expect("an array");
    assert!(rows.len() >= 11, "{}", rows.len());
    for row in rows {
        let fields = [
            "protocol",
            "model",
            "size",
            "nodes",
            "faults",
            "bounds",
            "properties",
        ];
        has_fields(row, &fields);
        has_fields(&row["properties"][0], &["name", "kind"]);
    }
}

#[test]
fn verify_reports_a_small_model_as_verified() {
    let folder = tempdir().expect("a folder");
    let output = checks(folder.path(), &["verify", "raft/clients", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let rows = json(&output);
    let row = &rows[0];
    let fields = [
        "model",
        "engine",
        "threads",
        "verdict",
        "unique",
        "generated",
        "depth",
        "seconds",
        "peak_rss_bytes",
        "reductions",
        "properties",
        "trace_file",
    ];
    has_fields(row, &fields);
    assert_eq!(row["verdict"], "verified");
    assert_eq!(row["engine"], "native");
    assert!(row["fired"]["arms"].is_object());
    has_fields(&row["properties"][0], &["name", "kind", "holds"]);
    let liveness = row["properties"].as_array().expect("an array").iter();
    let mut liveness = liveness.filter(|property| property["kind"] == "liveness");
    assert!(
        liveness.all(|property| property["holds"].is_null()),
        "liveness is not decided, and must not be claimed"
    );
}

#[test]
fn a_run_that_hits_a_cap_says_bounded() {
    let folder = tempdir().expect("a folder");
    for engine in ["native", "stateright-dfs"] {
        let arguments = ["verify", "raft/election", "--max-states", "2000", "--json"];
        let arguments = [&arguments[..], &["--engine", engine]].concat();
        let output = checks(folder.path(), &arguments);
        let row = &json(&output)[0];
        assert_eq!(row["verdict"], "bounded", "{engine}");
        assert_eq!(row["stopped"], "the number of states was reached");
        // Whoever wants a part of the states must have seen in it what the model must show.
        let has_seen_all = row["unseen"].as_array().expect("an array").is_empty();
        let code = if has_seen_all { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(code), "{row}");
    }
    let whole = ["verify", "bully/cold-start", "--max-states"];
    let few = checks(folder.path(), &[&whole[..], &["2"]].concat());
    assert_eq!(few.status.code(), Some(3), "{few:?}");
    let text = String::from_utf8_lossy(&few.stdout).into_owned();
    assert!(text.contains("must be seen, and was not yet: "), "{text}");
    assert!(text.contains("1 have not shown what they must"), "{text}");
    let most = checks(folder.path(), &[&whole[..], &["520", "--json"]].concat());
    assert_eq!(json(&most)[0]["verdict"], "bounded");
    assert_eq!(most.status.code(), Some(0), "{most:?}");
}

/// A run that shows nothing is no success, and nobody has refuted, survived or contradicted anything
/// in it.
#[test]
fn what_runs_out_of_time_is_incomplete_and_no_verdict() {
    let folder = tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let output = checks(folder.path(), &[arguments, &["--budget", "0s"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {text}");
        text
    };
    let text = run(&["verify", "bully"]);
    assert!(text.contains("0 verified, 0 bounded"), "{text}");
    assert!(text.contains("0 violated"), "{text}");
    let text = run(&["verify", "bully/cold-start", "--engine", "stateright"]);
    assert!(text.contains("1 incomplete"), "{text}");
    let text = run(&["verify", "bully", "--engine", "simulate", "--seed", "1"]);
    assert!(text.contains("0 bounded"), "no walk was taken: {text}");
    let text = run(&["fuzz", "bully"]);
    assert!(text.contains("0 held, 0 vacuous"), "{text}");
    let text = run(&["mutants", "bully"]);
    assert!(text.contains("TIMED OUT"), "{text}");
    assert!(
        !text.contains("SURVIVED") && !text.contains("control holds"),
        "{text}"
    );
    let text = run(&["engines"]);
    assert!(!text.contains("AGREE"), "{text}");
    let named = "raft/replication, stateright-bfs on 1 thread, reductions inert: not compared";
    assert!(text.contains(named), "{text}");

    let arguments = ["mutants", "bully", "--budget", "0s", "--json"];
    let rows = json(&checks(folder.path(), &arguments));
    let rows = rows.as_array().expect("an array");
    assert!(
        rows.iter().all(|row| row["ending"] == "incomplete"),
        "{rows:?}"
    );
    assert!(rows.iter().all(|row| row["stopped"] == "the time was up"));
}

/// A mutant of which every state was seen has survived, whatever the time.
#[test]
fn a_mutant_that_is_seen_whole_and_not_caught_has_survived() {
    let folder = tempdir().expect("a folder");
    let arguments = ["mutants", "--model", "bully/cold-start", "--json"];
    let output = checks(folder.path(), &arguments);
    let rows = json(&output);
    let rows = rows.as_array().expect("an array");
    let survivors = rows.iter().filter(|row| row["ending"] == "failed");
    let survivors: Vec<_> = survivors.collect();
    assert!(
        !survivors.is_empty(),
        "no mutant is right in so small a world"
    );
    assert!(
        survivors.iter().all(|row| row["verdict"] == "verified"),
        "{survivors:?}"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// Many threads are refused, and those that have nothing to do take no memory.
#[test]
fn threads_are_as_many_as_there_can_be_work_for() {
    let folder = tempdir().expect("a folder");
    let verify = ["verify", "bully/cold-start", "--json", "--threads"];
    let refused = checks(folder.path(), &[&verify[..], &["10000"]].concat());
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let message = stderr(&refused);
    assert!(
        message.contains("10000 threads are too many: the most is 128"),
        "{message}"
    );
    let peak = |threads: &str| {
        let output = checks(folder.path(), &[&verify[..], &[threads]].concat());
        let row = json(&output)[0].clone();
        assert_eq!(
            (&row["unique"], output.status.code()),
            (&Value::from(525), Some(0)),
            "{row}"
        );
        row["peak_rss_bytes"].as_u64()
    };
    // Not everywhere does the system tell.
    if let (Some(one), Some(most)) = (peak("1"), peak("128")) {
        assert!(most < one + (16 << 20), "{one} and {most} bytes");
    }
}

#[test]
fn a_simulation_says_its_seed_and_is_bounded_or_finds_something_that_replays() {
    let folder = tempdir().expect("a folder");
    let simulate = |arguments: &[&str]| {
        let common = [
            "verify",
            "raft/three-from-the-start",
            "--engine",
            "simulate",
        ];
        checks(folder.path(), &[&common, arguments].concat())
    };
    let output = simulate(&["--max-states", "5000", "--seed", "5"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("seed 5\n"), "{text}");
    assert!(
        text.contains("0 verified, 1 bounded, 0 incomplete, 0 violated"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(0), "{text}");

    // Three steps from the start nothing is to be seen of what this model must show.
    let output = simulate(&["--max-states", "500", "--max-depth", "3", "--seed", "5"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("must be seen, and was not yet: "), "{text}");
    assert_eq!(output.status.code(), Some(3), "{text}");

    let output = simulate(&["--max-states", "5000", "--json"]);
    let drawn = &json(&output)[0]["simulated"]["seed"];
    assert!(drawn.is_u64(), "the seed is printed: {drawn}");

    let mutant = ["--mutant", "RAFT-VOTE-BLIND", "--seed", "5", "--json"];
    let output = simulate(&mutant);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let row = &json(&output)[0];
    assert_eq!(row["verdict"], "violated");
    let file = row["trace_file"].as_str().expect("a trace");
    let replayed = checks(folder.path(), &["replay", file]);
    assert_eq!(replayed.status.code(), Some(1), "{}", stderr(&replayed));
}

#[test]
fn mutants_run_on_other_engines_and_in_other_models() {
    let folder = tempdir().expect("a folder");
    let arguments = ["mutants", "bully", "--engine", "simulate", "--seed", "1"];
    let arguments = [&arguments[..], &["--budget", "2s"]].concat();
    let output = checks(folder.path(), &arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("mutants caught"), "{text}");
    assert!(
        text.contains("left out: they are for --engine native"),
        "{text}"
    );

    let model = "bully/fuzz-unbounded";
    let arguments = [
        "mutants", "--model", model, "--engine", "simulate", "--json",
    ];
    let arguments = [&arguments[..], &["--budget", "1s"]].concat();
    let rows = json(&checks(folder.path(), &arguments));
    let rows = rows.as_array().expect("an array");
    assert!(rows.iter().all(|row| row["model"] == model), "{rows:?}");
    let controls = rows.iter().filter(|row| row["control"] == true);
    assert_eq!(controls.count(), 1);
    assert!(rows.iter().any(|row| row["caught"] == true), "{rows:?}");
}

#[test]
fn a_violation_leaves_a_trace_that_replays() {
    let folder = tempdir().expect("a folder");
    let subject = checks::catalogue::find("raft/catch-up", Some("RAFT-COMMIT-UNCHECKED"));
    let report = crate::support::verify(
        subject.expect("a mutant of the catalogue").as_ref(),
        checks::engine::Engine::Native,
        &crate::support::on(1),
        folder.path(),
    );
    let file = report.trace_file.expect("a trace");
    let output = checks(folder.path(), &["replay", &file]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(1),
        "a violation is not well: {text}"
    );
    let law = "VIOLATED: Who follows commits what it is shown";
    assert!(text.contains(law), "{text}");
    let output = checks(folder.path(), &["replay", &file, "--json"]);
    has_fields(&json(&output)[0], &["model", "mutant", "steps", "violated"]);
}

#[test]
fn a_trace_that_does_not_fit_is_refused_with_a_reason() {
    let folder = tempdir().expect("a folder");
    let missing = checks(folder.path(), &["replay", "missing.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("cannot read the trace missing.json"));

    let file = folder.path().join("trace.json");
    let cases = [
        ("{", "is no trace"),
        (
            r#"{"format":9,"model":"m","mutant":null,"property":null,"seed":null,"actions":[],"steps":[]}"#,
            "has format 9, this program reads format 1",
        ),
        (
            r#"{"format":1,"model":"raft/none","mutant":null,"property":null,"seed":null,"actions":[],"steps":[]}"#,
            "model raft/none, which is not in the catalogue",
        ),
        (
            r#"{"format":1,"model":"raft/clients","mutant":null,"property":null,"seed":null,"actions":[{"Nonsense":1}],"steps":[]}"#,
            "the actions are not of model raft/clients",
        ),
        (
            r#"{"format":1,"model":"raft/clients","mutant":null,"property":null,"seed":null,"actions":[{"Restart":0}],"steps":[]}"#,
            "step 1 (n0 restarts) is not possible there",
        ),
    ];
    for (text, reason) in cases {
        std::fs::write(&file, text).expect("the file can be written");
        let output = checks(folder.path(), &["replay", "trace.json"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

#[test]
fn wrong_arguments_name_what_would_have_been_right() {
    let folder = tempdir().expect("a folder");
    let cases: [(&[&str], &str); 29] = [
        (
            &["verify", "raft/electoin"],
            "did you mean \"raft/election\"?",
        ),
        (
            &["fuzz", "raft/fuzz-thre"],
            "did you mean \"raft/fuzz-three\"?",
        ),
        (
            &["explore", "--mutant", "RAFT-COMIT-UNCHECKED"],
            "did you mean \"RAFT-COMMIT-UNCHECKED\"?",
        ),
        (
            &["verify", "raft/figure-8", "--mutant", "raft-04"],
            "did you mean \"RAFT-4\"?",
        ),
        (&["gate", "rift"], "did you mean \"raft\"?"),
        (&["verify", "raft/nothing"], "raft/election"),
        (&["verify"], "--all"),
        (&["verify", "--all", "--engine", "tlc"], "native"),
        (&["verify", "--all", "--budget", "soon"], "90s, 10m or 2h"),
        (&["verify", "--all", "--memory", "3M"], "the least is 16M"),
        (&["verify", "--all", "--memory", "lots"], "500M or 16G"),
        (
            &["verify", "--all", "--memory", "99999999999G"],
            "500M or 16G",
        ),
        (
            &["verify", "--all", "--budget", "18446744073709551615s"],
            "longer than a year",
        ),
        (&["fuzz", "--steps", "9999999999999999999"], "steps"),
        (&["verify", "--all", "--threads", "0"], "threads"),
        (&["mutants", "paxos"], "raft"),
        (
            &["mutants", "--generated", "rift"],
            "did you mean \"raft\"?",
        ),
        (&["mutants", "--again"], "--generated"),
        (&["explore", "raft/nothing"], "raft/election"),
        (&["verfy"], "verify"),
        (
            &["verify", "raft/clients", "--seed", "1"],
            "--engine simulate: native draws nothing",
        ),
        (
            &[
                "verify",
                "raft/clients",
                "--engine",
                "simulate",
                "--memory",
                "1G",
            ],
            "simulate does not heed it",
        ),
        (
            &[
                "verify",
                "raft/clients",
                "--engine",
                "stateright",
                "--max-depth",
                "9",
            ],
            "stateright-dfs does not heed it",
        ),
        (&["verify", "--all", "--fingerprints", "96"], "64, 128"),
        (
            &[
                "verify",
                "raft/clients",
                "--engine",
                "stateright",
                "--fingerprints",
                "128",
            ],
            "stateright-dfs does not heed it",
        ),
        (&["verify", "raft/fuzz-three"], "--engine simulate"),
        (&["verify", "raft/clients", "--mutant", "ZAB-4"], "RAFT-4"),
        (&["mutants", "--model", "raft/nothing"], "raft/election"),
        (
            &["mutants", "raft", "--engine", "native", "--seed", "1"],
            "--engine simulate",
        ),
    ];
    for (arguments, hint) in cases {
        let output = checks(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = stderr(&output);
        assert!(message.contains(hint), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_run_and_prints_what_was_covered() {
    use std::io::Read as _;
    use std::process::Stdio;
    use std::time::Duration;

    let folder = tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_checks"))
        .args(["verify", "raft/figure-8", "--engine", "native", "--json"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // Long enough for the handler to be there; the run itself takes many minutes.
    std::thread::sleep(Duration::from_secs(2));
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(interrupted.success());
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout
        .read_to_string(&mut text)
        .expect("the output is text");
    let status = child.wait().expect("the program ends");
    assert_eq!(status.code(), Some(3), "cut short is not well");
    let rows: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(rows[0]["verdict"], "incomplete");
    assert_eq!(rows[0]["stopped"], "interrupted");
}

/// Whatever is done at the same time, and whoever is done first: what is reported, and in which
/// order, is the same.
#[test]
fn the_gate_reports_the_same_on_any_number_of_threads() {
    let folder = tempdir().expect("a folder");
    let gate = |threads: &str| {
        let arguments = [
            "gate",
            "bully",
            "--json",
            "--junit",
            "gate.xml",
            "--threads",
            threads,
        ];
        let output = checks(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut report = json(&output);
        for part in report["parts"].as_array_mut().expect("an array") {
            part["seconds"].take();
        }
        report
    };
    let one = gate("1");
    assert_eq!(one, gate("3"));
    let parts = one["parts"].as_array().expect("an array");
    let kinds = parts
        .iter()
        .map(|part| part["name"].as_str().expect("a name"));
    let mut kinds: Vec<&str> = kinds.filter_map(|name| name.split(' ').next()).collect();
    kinds.dedup();
    assert!(kinds.starts_with(&["verify"]), "{kinds:?}");
    let last = ["arms", "mutants", "generated", "fuzz", "pairs"];
    assert!(kinds.ends_with(&last), "{kinds:?}");
    let xml = std::fs::read_to_string(folder.path().join("gate.xml")).expect("a file");
    assert!(
        !xml.contains("<failure") && !xml.contains("<error"),
        "{xml}"
    );
}

#[test]
fn the_gate_refuses_an_unknown_protocol() {
    let folder = tempdir().expect("a folder");
    let output = checks(folder.path(), &["gate", "raft", "rift"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("no protocol \"rift\""), "{message}");
    assert!(message.contains("raft"), "{message}");
}
