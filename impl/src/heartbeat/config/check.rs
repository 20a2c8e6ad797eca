//! That the values of a configuration make sense together.

use std::collections::BTreeSet;

use super::{
    Balance, ClusterConfig, Config, Discovery, LEAST_MTU, MAX_VOTERS, MOST_MTU, Timing, USUAL_MTU,
    unusable,
};
use crate::service::config::{Fault, Section, ServiceKind, fault};

impl ClusterConfig {
    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// With the first value that does not.
    pub fn check(&self) -> Result<(), Fault> {
        if self.service != ServiceKind::Heartbeat {
            let problem = format!("it is `{}`, and this is asked of `heartbeat`", self.service);
            return Err(fault("service", problem, "name a file of that service"));
        }
        if self.name.is_empty() {
            let remedy = "give the cluster a name, such as \"workshop\"";
            return Err(fault("name", "it is empty", remedy));
        }
        self.check_voters()?;
        self.timing.check()?;
        self.discovery.check()?;
        self.check_security()?;
        self.balance.check()?;
        if !(LEAST_MTU..=MOST_MTU).contains(&self.mtu) {
            return Err(fault(
                "mtu",
                format!("{} bytes is not what a datagram can have", self.mtu),
                format!("choose {LEAST_MTU} to {MOST_MTU}, such as {USUAL_MTU}"),
            ));
        }
        Ok(())
    }

    fn check_voters(&self) -> Result<(), Fault> {
        let remedy = "name the ids of the members that vote, such as [1, 2, 3]: 3 bear the loss of one, 5 \
                      of two";
        if self.voters.is_empty() {
            return Err(fault("voters", "there is none", remedy));
        }
        if self.voters.len() > MAX_VOTERS {
            let problem = format!("{} are more than {MAX_VOTERS}", self.voters.len());
            let remedy = "let the others be members without a vote, which know and do all the same";
            return Err(fault("voters", problem, remedy));
        }
        let distinct: BTreeSet<u16> = self.voters.iter().copied().collect();
        if distinct.len() < self.voters.len() {
            return Err(fault("voters", "one is named twice", remedy));
        }
        Ok(())
    }

    fn check_security(&self) -> Result<(), Fault> {
        self.security.check()?;
        match (self.security.plaintext, &self.security.gossip_key) {
            (false, None) => Err(fault(
                "security.gossip_key",
                "it is missing, and without it strangers could say who is there",
                "`lockstep certs init` makes one beside the authority: name it, such as \
                 \"certs/gossip.key\", and give it to every member",
            )),
            _ => Ok(()),
        }
    }
}

impl Timing {
    fn check(&self) -> Result<(), Fault> {
        self.of_log().check()?;
        let least = self.heartbeat_ms.saturating_mul(3);
        if self.dead_after_ms < least {
            return Err(fault(
                "timing.dead_after_ms",
                format!(
                    "{} drops a member that has missed two heartbeats of {}",
                    self.dead_after_ms, self.heartbeat_ms
                ),
                format!("choose at least three times the heartbeat, {least}"),
            ));
        }
        Ok(())
    }
}

impl Discovery {
    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Broadcast { port: 0, .. } | Self::Multicast { port: 0, .. } => Err(fault(
                "discovery.port",
                "it is 0, where nobody could find anybody",
                "choose a port from 1 to 65535, such as 7700",
            )),
            Self::Multicast { group, .. } if !group.is_multicast() => Err(fault(
                "discovery.group",
                format!("{group} is no multicast address"),
                "choose one from 224.0.0.0 to 239.255.255.255, such as 239.255.77.0",
            )),
            Self::Multicast {
                hops: 0 | 256.., ..
            } => Err(fault(
                "discovery.hops",
                "it is no number of routers that a packet can pass",
                "choose 1 to 255; 1 for the local network",
            )),
            Self::Static { members } if members.iter().any(|member| member.port() == 0) => {
                Err(fault(
                    "discovery.members",
                    "an address has port 0, where nobody can be",
                    "write each as ip:port, with the port that the member listens on",
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Balance {
    fn check(&self) -> Result<(), Fault> {
        if self.load_limit > 0.0 && self.load_limit.is_finite() {
            return Ok(());
        }
        Err(fault(
            "balance.load_limit",
            format!("with {} nobody would ever be given work", self.load_limit),
            "choose a number above 0, such as 0.8; 1 is a machine that is fully used",
        ))
    }
}

impl Config {
    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// With the first value that does not.
    pub fn check(&self) -> Result<(), Fault> {
        self.cluster.check()?;
        if self.votes() && self.voter.data_directory.is_none() {
            return Err(fault(
                "data",
                format!(
                    "member {} votes, and has no folder for its vote and its log: without them it could \
                     elect two leaders after a restart",
                    self.id.0
                ),
                "name a folder of its own (--data DIR), or take it out of voters",
            ));
        }
        if let Some(address) = self.address.filter(|address| unusable(address.ip())) {
            return Err(fault(
                "address",
                format!("{address} is not where anybody could reach this member"),
                "write the address of this machine in the network of the others",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::everybody;
    use super::*;

    fn refused(change: impl FnOnce(&mut ClusterConfig)) -> String {
        let mut config = ClusterConfig::new("blue", [1, 2, 3]);
        change(&mut config);
        config.check().expect_err("refused").to_string()
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_remedy() {
        for (told, beginning) in [
            (refused(|config| config.name.clear()), "name: "),
            (
                refused(|config| config.voters.clear()),
                "voters: there is none",
            ),
            (
                refused(|config| config.voters = vec![1, 1]),
                "voters: one is named twice",
            ),
            (
                refused(|config| config.voters = (0..9).collect()),
                "voters: 9 are more",
            ),
            (refused(|config| config.mtu = 100), "mtu: "),
            (
                refused(|config| config.timing.dead_after_ms = 200),
                "timing.dead_after_ms: ",
            ),
            (
                refused(|config| config.timing.election_min_ms = 200),
                "timing.election_min_ms: ",
            ),
            (
                refused(|config| config.balance.load_limit = f64::NAN),
                "balance.load_limit: ",
            ),
            (
                refused(|config| {
                    config.discovery = Discovery::Broadcast {
                        port: 0,
                        address: everybody(),
                    };
                }),
                "discovery.port: ",
            ),
        ] {
            assert!(told.starts_with(beginning), "{told}");
            assert!(told.contains("; "), "{told}");
        }
    }

    #[test]
    fn a_voter_needs_a_folder() {
        let config = Config::new(ClusterConfig::new("blue", [1]), 1);
        let told = config.check().expect_err("refused").to_string();
        assert!(told.contains("--data"), "{told}");
        Config::new(ClusterConfig::new("blue", [1]), 2)
            .check()
            .expect("no voter");
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("heartbeat.toml");
        std::fs::write(&file, "name = \"blue\"\nvotrs = [1]\n").expect("written");
        let told = ClusterConfig::load(&file).expect_err("refused").to_string();
        assert!(told.contains("did you mean `voters`?"), "{told}");
    }
}
