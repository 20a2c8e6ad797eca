//! A server of another project, as a process. It ends with its value, and with this program, in
//! whatever way that ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A server that runs.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts `program`, which says what it does in a file `log`. To be called on the main thread: the
    /// system ends the server when the thread that has started it ends.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
        log: PathBuf,
    ) -> Self {
        let file = File::create(&log).expect("a log can be created");
        let also = file.try_clone().expect("a file can be had twice");
        // It becomes the program, so the process id is that of the server.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv {}: {error}", program.display()));
        Self { child, log }
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `is_ready`.
    ///
    /// # Panics
    /// If the server ends, or takes too long.
    pub fn wait_until(&mut self, is_ready: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_ready() {
            let ended = self.child.try_wait().expect("a child can be looked after");
            assert!(
                ended.is_none() && Instant::now() < end,
                "a server is not ready ({ended:?}); its log:\n{}",
                fs::read_to_string(&self.log).unwrap_or_default()
            );
            thread::sleep(POLL);
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_ends_with_its_value() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut server = ServerProcess::start(Path::new("sleep"), ["60"], &[], log);
        let status = PathBuf::from(format!("/proc/{}/comm", server.pid()));
        let runs = || fs::read_to_string(&status).is_ok_and(|name| name == "sleep\n");
        server.wait_until(runs);
        drop(server);
        assert!(!runs());
    }
}
