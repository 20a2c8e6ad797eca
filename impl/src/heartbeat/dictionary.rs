//! The shared dictionary, as a member asks for it: the voters' key-value store, over HTTP. A voter asks its
//! own node, which knows whether it is cut off; any other member asks the voters that it knows.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use models::NodeId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::error::HeartbeatError;
use super::list::ById;
use super::member_info::MemberInfo;
use crate::kv::client::Client;
use crate::kv::client::entry::{Entry, Keys, Listing};
use crate::runtime::sync::Mutex;
use crate::service::http_client::Access;

/// So many clients for reads are kept.
const IDLE_READERS: usize = 8;

/// Where the voters' client ports are.
pub(crate) type Voters = Arc<Vec<String>>;

/// A member's way to the dictionary.
pub(crate) struct Dictionary {
    access: Access,
    timeout: Duration,
    voters: watch::Receiver<Voters>,
    /// One session for all writes of a member, one after the other: so one that was given up comes before
    /// the next or never.
    writer: tokio::sync::Mutex<Option<Connected>>,
    readers: Mutex<Vec<Connected>>,
}

/// A client of these voters.
struct Connected {
    voters: Voters,
    client: Client,
}

impl Dictionary {
    pub(crate) fn new(access: Access, timeout: Duration, voters: watch::Receiver<Voters>) -> Self {
        Self {
            access,
            timeout,
            voters,
            writer: tokio::sync::Mutex::default(),
            readers: Mutex::default(),
        }
    }

    pub(crate) async fn set(&self, key: &[u8], value: Bytes) -> Result<u64, HeartbeatError> {
        let voters = self.voters().await?;
        let mut writer = self.writer.lock().await;
        let client = &mut self.connect(&mut writer, voters)?.client;
        let revision = client.put(key, value).await?;
        Ok(revision.unwrap_or_default())
    }

    pub(crate) async fn delete(&self, key: &[u8]) -> Result<bool, HeartbeatError> {
        let voters = self.voters().await?;
        let mut writer = self.writer.lock().await;
        let client = &mut self.connect(&mut writer, voters)?.client;
        Ok(client.delete(key).await?)
    }

    pub(crate) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, HeartbeatError> {
        let mut reader = self.reader().await?;
        let value = reader.client.get(key).await?;
        self.give_back(reader);
        Ok(value)
    }

    /// All keys with their values, and the revision that they are of: one snapshot.
    pub(crate) async fn all(&self) -> Result<(u64, Vec<Entry>), HeartbeatError> {
        let mut reader = self.reader().await?;
        let mut listing = Listing::of(Keys::Prefix(Vec::new()));
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let page = reader.client.range(&listing).await?;
            let revision = *listing.revision.get_or_insert(page.revision);
            entries.extend(page.entries);
            listing.after = entries.last().map(|entry| entry.key.to_vec());
            if !page.more {
                self.give_back(reader);
                return Ok((revision, entries));
            }
        }
    }

    /// A client to watch with, and the voters that it asks.
    pub(crate) async fn watcher(&self) -> Result<(Voters, Client), HeartbeatError> {
        let voters = self.voters().await?;
        Ok((voters.clone(), self.client(&voters)?))
    }

    /// Follows which voters there are.
    pub(crate) fn follow_voters(&self) -> watch::Receiver<Voters> {
        self.voters.clone()
    }

    /// The voters, once any is known.
    async fn voters(&self) -> Result<Voters, HeartbeatError> {
        let mut voters = self.voters.clone();
        let deadline = Instant::now() + self.timeout;
        let known = voters.wait_for(|voters| !voters.is_empty());
        match timeout_at(deadline, known).await {
            Ok(Ok(voters)) => Ok(voters.clone()),
            Ok(Err(_)) => Err(HeartbeatError::Ended),
            Err(_) => Err(HeartbeatError::NoMajority(format!(
                "no voter was heard within {:?}",
                self.timeout
            ))),
        }
    }

    fn client(&self, voters: &Voters) -> Result<Client, HeartbeatError> {
        let client = Client::with_access(self.access.clone(), voters.to_vec(), self.timeout);
        Ok(client?)
    }

    fn connect<'a>(
        &self,
        writer: &'a mut Option<Connected>,
        voters: Voters,
    ) -> Result<&'a mut Connected, HeartbeatError> {
        let connected = match writer.take() {
            Some(connected) if connected.voters == voters => connected,
            _ => Connected {
                client: self.client(&voters)?,
                voters,
            },
        };
        Ok(writer.insert(connected))
    }

    async fn reader(&self) -> Result<Connected, HeartbeatError> {
        let voters = self.voters().await?;
        let idle = self.readers.lock().pop();
        match idle.filter(|reader| reader.voters == voters) {
            Some(reader) => Ok(reader),
            None => {
                let client = self.client(&voters)?;
                Ok(Connected { voters, client })
            }
        }
    }

    fn give_back(&self, reader: Connected) {
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
    }
}

/// Whom a client of the dictionary asks: a voter its own node, and any other member all voters, which are in
/// its list.
pub(crate) fn dictionary_nodes(own: &MemberInfo, voters: &ById) -> Vec<String> {
    if let Some(voter) = &own.voter {
        return vec![voter.client.clone()];
    }
    let mut addresses: Vec<(NodeId, String)> = { voters.values() }
        .filter_map(|member| Some((member.id, member.voter.as_ref()?.client.clone())))
        .collect();
    // Not all members the same one first.
    let first = usize::from(own.id.0).checked_rem(addresses.len());
    addresses.rotate_left(first.unwrap_or(0));
    addresses.into_iter().map(|(_, address)| address).collect()
}
