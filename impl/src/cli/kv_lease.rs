//! `lockstep kv lease`: keys that go together.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use lockstep::kv::client::Client;
use tokio::time::sleep;

#[derive(Debug, Subcommand)]
pub(super) enum LeaseCommand {
    /// Begins a lease that goes on for so many seconds without a sign of life, and shows its number
    Grant {
        /// In seconds
        ttl: u64,
        /// Its number; one is drawn if none is given
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        id: Option<u64>,
    },
    /// Gives signs of life, three within the lease's time, until Ctrl-C
    KeepAlive {
        /// The lease
        id: u64,
        /// Give one, and end
        #[arg(long)]
        once: bool,
    },
    /// Ends a lease: its keys go, in one revision
    Revoke {
        /// The lease
        id: u64,
    },
    /// Shows how long a lease still goes on, and which keys it holds, as JSON
    Show {
        /// The lease
        id: u64,
    },
    /// Lists the numbers of all leases
    List,
}

/// Asks the cluster.
pub(super) async fn run(client: &mut Client, command: LeaseCommand) -> anyhow::Result<ExitCode> {
    match command {
        LeaseCommand::Grant { ttl, id } => println!("{}", client.grant(ttl, id).await?.id),
        LeaseCommand::KeepAlive { id, once } => loop {
            let lease = client.keep_alive(id).await?;
            if once {
                break;
            }
            sleep(Duration::from_secs(lease.ttl_s) / 3).await;
        },
        LeaseCommand::Revoke { id } => println!("{}", client.revoke(id).await?),
        LeaseCommand::Show { id } => {
            let lease = client.lease(id).await?;
            let shown = serde_json::json!({
                "id": lease.id,
                "ttl_s": lease.ttl_s,
                "remaining_s": lease.remaining_s,
                "keys": lease.keys,
            });
            println!("{shown}");
        }
        LeaseCommand::List => {
            for lease in client.leases().await? {
                println!("{lease}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
