//! Every interleaving of the hand-written concurrent pieces, within a preemption bound.
//!
//! Each scenario is also run against copies with one planted fault, which it must refute.
//!
//! ```text
//! RUSTFLAGS="--cfg lockstep_loom" LOOM_MAX_PREEMPTIONS=2 cargo test -p lockstep --test loom --release
//! ```
#![cfg(lockstep_loom)]

mod counter;
mod gate;
mod queue;

use std::process::Command;

/// What loom says when every thread waits.
const LOST_WAKE_UP: &str = "deadlock";

/// Asserts that each scenario (named after the fault that is planted in it) fails, with the
/// words that it should fail with. `test` is the full name of the calling test.
///
/// Each is run in a process of its own, because loom aborts when it unwinds from a deadlock.
fn check_refuted(test: &str, faults: &[(&str, fn(), &str)]) {
    const PLANTED: &str = "LOCKSTEP_PLANTED_FAULT";
    if let Ok(name) = std::env::var(PLANTED) {
        let (_, scenario, _) = faults.iter().find(|row| row.0 == name).expect("a fault");
        return scenario();
    }
    for (name, _, says) in faults {
        let run = Command::new(std::env::current_exe().expect("this test"))
            .args([test, "--exact", "--nocapture"])
            .env(PLANTED, name)
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("this test runs");
        let output = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success(), "`{name}` survived");
        assert!(
            output.contains(says),
            "`{name}` failed, but not with `{says}`:\n{output}"
        );
    }
}
