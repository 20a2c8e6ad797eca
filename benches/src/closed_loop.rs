//! Clients in a closed loop: each does its next when its last is done.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::latency::Latencies;

/// Somebody who does the same again and again.
pub trait Client: Send + 'static {
    /// Does it once.
    fn act(&mut self) -> impl Future<Output = ()> + Send;
}

/// What clients have done.
#[derive(Clone, Debug)]
pub struct Done {
    /// How long they were at it.
    pub took: Duration,
    /// How long each took.
    pub latencies: Latencies,
}

/// Has all `clients` act for so long, at the same time, each once at least. Returns them, in another
/// order.
///
/// # Panics
/// If one does.
pub async fn run<C: Client>(clients: Vec<C>, span: Duration) -> (Vec<C>, Done) {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for mut client in clients {
        tasks.spawn(async move {
            let mut latencies = Latencies::new();
            loop {
                let started = Instant::now();
                client.act().await;
                latencies.record(started.elapsed());
                if begun.elapsed() >= span {
                    return (client, latencies);
                }
            }
        });
    }
    let (mut clients, mut latencies) = (Vec::new(), Latencies::new());
    while let Some(ended) = tasks.join_next().await {
        let (client, its) = ended.expect("a client does not fail");
        latencies.add(&its);
        clients.push(client);
    }
    let took = begun.elapsed();
    (clients, Done { took, latencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(u64);

    impl Client for Sleeper {
        async fn act(&mut self) {
            self.0 += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn all_that_was_done_is_counted() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().expect("a runtime");
        let clients = vec![Sleeper(0), Sleeper(0)];
        let (clients, done) = runtime.block_on(run(clients, Duration::from_millis(20)));
        let times: u64 = clients.iter().map(|client| client.0).sum();
        assert_eq!(done.latencies.count(), times);
        assert!(times >= 2 && done.took >= Duration::from_millis(20));
    }
}
