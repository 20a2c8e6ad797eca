//! The gate as a test, for `cargo mutants`: a defect that it plants is caught if this fails.
//! Not part of `cargo test`, which would run the gate twice in CI:
//!
//! ```text
//! cargo mutants --file 'models/src/raft/*.rs' -- -p checks --test gate
//! ```
//!
//! `GATE=raft` runs the gate of that protocol only.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let protocols = std::env::var("GATE").unwrap_or_default();
    let status = Command::new(env!("CARGO_BIN_EXE_checks"))
        .args(["gate", "--fail-fast", "--traces"])
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .args(protocols.split_whitespace())
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the gate cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
