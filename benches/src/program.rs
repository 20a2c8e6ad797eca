//! The `lockstep` program, for benches whose nodes are processes.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The `lockstep` program: the one that `LOCKSTEP_BIN` names, else the one of this build,
/// which cargo is asked to bring up to date.
///
/// # Panics
/// If it cannot be built, or is not there.
pub fn program() -> PathBuf {
    if let Some(path) = env::var_os("LOCKSTEP_BIN") {
        return PathBuf::from(path);
    }
    // target/release/deps/election-0123456789abcdef
    let bench = env::current_exe().expect("the path of this program");
    let profile = bench
        .ancestors()
        .nth(2)
        .expect("benches are built two folders deep");
    if let Some(cargo) = env::var_os("CARGO") {
        build(Path::new(&cargo), profile);
    }
    let program = profile
        .join("lockstep")
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        program.is_file(),
        "{} is missing: build it with `cargo build --release -p lockstep`, or name one with \
         LOCKSTEP_BIN",
        program.display()
    );
    program
}

fn build(cargo: &Path, profile: &Path) {
    let target = profile
        .parent()
        .expect("a profile's folder is in the target folder");
    let mut command = Command::new(cargo);
    // Both packages, for the features with which this program was built: the library is built already.
    command.args(["build", "--quiet", "--package=benches"]);
    command.args(["--package=lockstep", "--bin=lockstep"]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let workspace = manifest.parent().and_then(Path::parent);
    let workspace = workspace.expect("this package is in a workspace");
    let built = command
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace)
        .status()
        .expect("cargo can be started again");
    assert!(built.success(), "the lockstep program does not build");
}
