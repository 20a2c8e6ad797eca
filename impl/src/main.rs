//! The `lockstep` program: nodes, clients and demos. See `lockstep --help`.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

// Under the private cfg of the loom tests only the pieces that loom checks are built.
#[cfg(not(lockstep_loom))]
mod cli;

#[cfg(not(lockstep_loom))]
fn main() -> std::process::ExitCode {
    cli::main()
}

#[cfg(lockstep_loom)]
fn main() {}
