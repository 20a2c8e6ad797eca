//! What the demos of all services do alike: tell their steps one by one, and check each.
//!
//! A demo's nodes end with its [`Narrator`], in whatever way that ends.

use std::fmt::{self, Debug, Display};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::NodeId;
use serde::Serialize;
use tokio::time::sleep;

use crate::runtime::sync::Mutex;
use crate::service::config::ServiceConfig;
use crate::service::processes::{ProcessError, Processes};

/// Every step has this long, however busy the machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Why a demo did not pass.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something else happened than should.
    #[error("expected: {expected}\nfound:    {found}\n{logs}")]
    Unexpected {
        /// What should have happened.
        expected: String,
        /// What did.
        found: String,
        /// The ends of the nodes' logs.
        logs: String,
    },
    /// A node could not be started, killed or stopped.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// There is no client.
    #[error("{0}")]
    Client(String),
}

impl DemoError {
    /// There is no client, because of `error`.
    pub(crate) fn client(error: impl Display) -> Self {
        Self::Client(error.to_string())
    }
}

/// Where several tell what they have to, a whole line at a time.
#[derive(Clone)]
pub(crate) struct SharedWriter<'a>(Arc<Mutex<&'a mut (dyn Write + Send)>>);

impl<'a> SharedWriter<'a> {
    pub(crate) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }
}

impl Write for SharedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        self.0.lock().write_fmt(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().flush()
    }
}

/// Tells what the nodes of a demo do.
pub struct Narrator<'a, C> {
    pub(crate) nodes: Processes<C>,
    out: &'a mut (dyn Write + Send),
    step: usize,
}

impl<'a, C: ServiceConfig + Serialize + Clone> Narrator<'a, C> {
    /// Of these nodes, to `out`.
    pub fn new(nodes: Processes<C>, out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            nodes,
            out,
            step: 0,
        }
    }

    /// Tells which processes the nodes are: "three nodes" have started, say.
    pub(crate) fn tell_start(&mut self, nodes: &str) {
        let ids = self.nodes.config().cluster_config().nodes;
        let pids: Vec<String> = { ids.iter() }
            .filter_map(|node| {
                let pid = self.nodes.pid(node.id)?;
                Some(format!("{} is process {pid}", node.id))
            })
            .collect();
        self.say(format!("{nodes} started: {}", pids.join(", ")));
    }

    /// Stops all nodes.
    ///
    /// # Errors
    /// When one does not stop in order.
    pub(crate) fn stop(&mut self) -> Result<(), DemoError> {
        for (id, status) in self.nodes.stop_all()? {
            let expected = format!("{id} stops in order");
            self.require(&expected, status.success(), &status.to_string())?;
        }
        self.say("all nodes stopped in order");
        Ok(())
    }

    /// Waits until `look` says that it is so, and returns what that found.
    ///
    /// # Errors
    /// With what it found last, when it is not so in time.
    pub(crate) async fn until<T, F>(
        &self,
        expected: &str,
        look: impl Fn() -> F,
    ) -> Result<T, DemoError>
    where
        F: Future<Output = Result<T, String>>,
    {
        let end = Instant::now() + PATIENCE;
        loop {
            match look().await {
                Ok(found) => return Ok(found),
                Err(found) if Instant::now() >= end => {
                    return Err(self.unexpected(expected, &found));
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// A node's client address.
    pub(crate) fn address(&self, id: NodeId) -> String {
        let cluster = self.nodes.config().cluster_config();
        let node = cluster.nodes.into_iter().find(|node| node.id == id);
        node.map(|node| node.client_address).unwrap_or_default()
    }

    /// Tells the next step.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) {
        self.step += 1;
        let line = format!("{:>2}. {}", self.step, text.as_ref());
        self.tell(&line);
    }

    /// Tells that all was as it should be.
    pub(crate) fn pass(&mut self) {
        self.tell("PASS");
    }

    fn tell(&mut self, line: &str) {
        // Whether the demo passes does not depend on whether somebody reads along.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    /// What was done, which should have been.
    ///
    /// # Errors
    /// When it was not.
    pub(crate) fn check<T, E: Display>(
        &self,
        expected: &str,
        done: Result<T, E>,
    ) -> Result<T, DemoError> {
        done.map_err(|error| self.unexpected(expected, &error.to_string()))
    }

    /// # Errors
    /// When it does not hold.
    pub(crate) fn require(
        &self,
        expected: &str,
        holds: bool,
        found: &str,
    ) -> Result<(), DemoError> {
        if holds {
            Ok(())
        } else {
            Err(self.unexpected(expected, found))
        }
    }

    /// # Errors
    /// When the two are not equal.
    pub(crate) fn require_equal<T: PartialEq + Debug>(
        &self,
        what: &str,
        found: &T,
        expected: &T,
    ) -> Result<(), DemoError> {
        let words = format!("{what}: {expected:?}");
        self.require(&words, found == expected, &format!("{found:?}"))
    }

    /// Something else has happened than should.
    pub(crate) fn unexpected(&self, expected: &str, found: &str) -> DemoError {
        DemoError::Unexpected {
            expected: expected.to_owned(),
            found: found.to_owned(),
            logs: self.nodes.log_tails(),
        }
    }
}
