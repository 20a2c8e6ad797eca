//! Ctrl-C in the middle of a demo: nothing is left of it, neither a process nor a file.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::files::PATIENCE;
use crate::support::program::PROGRAM;

/// A demo that has been started in a process group of its own, as a shell does.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Where it puts its files, and nobody else.
    folder: tempfile::TempDir,
}

impl Drop for Demo {
    fn drop(&mut self) {
        // One that has ended by itself needs none.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    fn start(service: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(PROGRAM)
            .args(["demo", service])
            .env("TMPDIR", folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out, folder }
    }

    /// The next line that holds `words`.
    fn line(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            let count = self.out.read_line(&mut line).expect("read");
            assert!(count > 0, "it ended before `{words}`");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The processes of its nodes, as it names them.
    fn nodes(&mut self) -> Vec<String> {
        let line = self.line("three nodes started");
        let named = line.split("is process ").skip(1);
        let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect();
        named.map(digits).collect()
    }

    /// Sends SIGINT, and waits until it has ended. Returns its exit code and what it said.
    fn interrupt(&mut self, whom: &Interrupted) -> (Option<i32>, String) {
        let id = self.child.id();
        let target = match whom {
            Interrupted::Alone => id.to_string(),
            Interrupted::WithItsNodes => format!("-{id}"),
        };
        let sent = Command::new("kill").args(["-INT", "--", &target]).status();
        assert!(sent.expect("runs").success());
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                break status;
            }
            assert!(Instant::now() < end, "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut said).expect("read");
        (status.code(), said)
    }
}

enum Interrupted {
    /// As `kill -INT` does.
    Alone,
    /// As a terminal does.
    WithItsNodes,
}

/// Whether there is such a process, even one that nobody has waited for yet.
fn lives(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

fn check(service: &str, until: &str, whom: &Interrupted) {
    let mut demo = Demo::start(service);
    let nodes = demo.nodes();
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    demo.line(until);
    assert!(nodes.iter().any(|pid| lives(pid)), "{nodes:?}");
    let files = || fs::read_dir(demo.folder.path()).expect("read").count();
    assert!(files() > 0, "its files are elsewhere");

    let (code, said) = demo.interrupt(whom);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(said, "interrupted: nothing is left running\n");
    for pid in nodes {
        assert!(!lives(&pid), "process {pid} is left");
    }
    let left = fs::read_dir(demo.folder.path()).expect("read").count();
    assert_eq!(left, 0, "something is left in its folder");
    let mut rest = String::new();
    demo.out.read_to_string(&mut rest).expect("read");
    assert!(!rest.contains("PASS"), "{rest}");
}

#[test]
fn the_store_s_demo_leaves_nothing_behind_when_it_is_interrupted() {
    check("kv", "keys written", &Interrupted::Alone);
}

#[test]
fn the_store_s_demo_leaves_nothing_behind_when_its_terminal_is_interrupted() {
    // One node is dead and waited for then, and the demo waits for another leader.
    check("kv", "killed (SIGKILL)", &Interrupted::WithItsNodes);
}

#[test]
fn the_file_service_s_demo_leaves_nothing_behind_when_it_is_interrupted() {
    check("files", "leads in epoch", &Interrupted::Alone);
}

#[test]
fn the_file_service_s_demo_leaves_nothing_behind_when_its_terminal_is_interrupted() {
    check("files", "lines appended", &Interrupted::WithItsNodes);
}

#[test]
fn the_counter_s_demo_leaves_nothing_behind_when_it_is_interrupted() {
    check("counter", "killed (SIGKILL)", &Interrupted::Alone);
}

#[test]
fn the_counter_s_demo_leaves_nothing_behind_when_its_terminal_is_interrupted() {
    check(
        "counter",
        "cut off from the others",
        &Interrupted::WithItsNodes,
    );
}

#[test]
fn the_members_demo_leaves_nothing_behind_when_it_is_interrupted() {
    check("heartbeat", "killed (SIGKILL)", &Interrupted::Alone);
}

#[test]
fn the_members_demo_leaves_nothing_behind_when_its_terminal_is_interrupted() {
    check("heartbeat", "leads in term", &Interrupted::WithItsNodes);
}
