//! The program as a process, also under conditions that a shell sets up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");

/// A program that does what the shell commands `first` say, and goes on as this program.
pub(crate) fn program_after(folder: &Path, first: &str) -> PathBuf {
    let file = folder.join("lockstep.sh");
    let text = format!("#!/bin/sh\n{first}\nexec '{PROGRAM}' \"$@\"\n");
    fs::write(&file, text).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
    file
}

/// What a command printed that has done what it should.
pub(crate) fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command said that has done nothing.
pub(crate) fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn send_signal(pid: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.expect("kill runs").success(), "{signal} to {pid}");
}

/// Waits until a child of this process has ended, whether or not anybody has asked how.
/// Returns how long it took.
pub(crate) fn wait_until_it_ends(pid: u32, patience: Duration) -> Duration {
    let start = Instant::now();
    loop {
        let state = Command::new("ps")
            .args(["-o", "stat=", "-p", &pid.to_string()])
            .output()
            .expect("ps runs");
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        if state.is_empty() || state.starts_with('Z') {
            return start.elapsed();
        }
        assert!(
            start.elapsed() < patience,
            "{pid} still runs after {patience:?}: {state}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
