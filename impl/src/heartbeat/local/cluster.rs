//! A cluster within this process: real members, which talk over the loopback interface. For demos and tests.

use std::path::Path;

use tempfile::TempDir;

use crate::heartbeat::{ClusterConfig, Config, Discovery, HeartbeatError, Member};

/// Members of this process. Those that are started later find the first by its address.
pub struct LocalCluster {
    folder: TempDir,
    cluster: ClusterConfig,
    /// The voters, the first of which all others were told of.
    pub voters: Vec<Member>,
}

impl LocalCluster {
    /// Starts the voters of `cluster`, each in a folder of its own, and waits until all have joined. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When they do not.
    pub async fn start(mut cluster: ClusterConfig) -> Result<Self, HeartbeatError> {
        let folder = tempfile::tempdir().map_err(|error| HeartbeatError::Voter {
            id: models::NodeId(0),
            reason: format!("there is no temporary folder: {error}"),
        })?;
        cluster.discovery = Discovery::Static {
            members: Vec::new(),
        };
        let mut voters: Vec<Member> = Vec::new();
        for id in cluster.voters.clone() {
            let config = voter(&cluster, id, folder.path());
            let member = Member::start(config).await?;
            if voters.is_empty() {
                cluster.discovery = Discovery::Static {
                    members: vec![member.address()],
                };
            }
            voters.push(member);
        }
        for member in &voters {
            member.joined().await?;
        }
        Ok(Self {
            folder,
            cluster,
            voters,
        })
    }

    /// The configuration of a member that is to be started.
    pub fn config(&self, id: u16) -> Config {
        if self.cluster.voters.contains(&id) {
            return voter(&self.cluster, id, self.folder.path());
        }
        Config::new(self.cluster.clone(), id).on_loopback()
    }

    /// The voter that leads, if one says so.
    pub fn leader(&self) -> Option<&Member> {
        self.voters.iter().find(|member| member.is_leader())
    }

    /// Ends the voters in order.
    ///
    /// # Errors
    /// With the first that does not end so.
    pub async fn shutdown(self) -> Result<(), HeartbeatError> {
        for member in self.voters {
            member.shutdown().await?;
        }
        Ok(())
    }
}

fn voter(cluster: &ClusterConfig, id: u16, folder: &Path) -> Config {
    let data = folder.join(id.to_string());
    Config::new(cluster.clone(), id)
        .on_loopback()
        .with_data(data)
}
