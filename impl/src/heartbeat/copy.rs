//! A member's copy of the dictionary, which follows what is committed: it answers stale reads, and tells
//! what changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use super::dictionary::{Dictionary, Voters};
use super::error::HeartbeatError;
use super::view::Event;
use crate::kv::client::entry::Keys;
use crate::kv::client::watch::{Change, Revision, Watch};
use crate::runtime::sync::Mutex;

/// The pause before the copy is made anew.
const PAUSE: Duration = Duration::from_millis(200);

type Map = BTreeMap<Bytes, Bytes>;

/// A copy, once there is one.
#[derive(Debug, Default)]
pub(crate) struct DictionaryCopy(Mutex<Option<State>>);

#[derive(Debug)]
struct State {
    map: Arc<Map>,
    revision: u64,
}

impl DictionaryCopy {
    /// The dictionary as it was at a revision.
    pub(crate) fn read(&self) -> Option<(Arc<Map>, u64)> {
        let state = self.0.lock();
        state
            .as_ref()
            .map(|state| (state.map.clone(), state.revision))
    }

    /// Another copy takes the place of this one. Returns how they differ.
    fn replace(&self, map: Map, revision: u64) -> Vec<Event> {
        let mut state = self.0.lock();
        let before = state.take().map(|state| state.map);
        let events = match before {
            // What was there before this member is no news.
            None => Vec::new(),
            Some(before) => differences(&before, &map, revision),
        };
        *state = Some(State {
            map: Arc::new(map),
            revision,
        });
        events
    }

    fn apply(&self, change: Revision) -> Vec<Event> {
        let mut state = self.0.lock();
        let Some(state) = state.as_mut() else {
            return Vec::new();
        };
        let revision = change.revision;
        state.revision = revision;
        let map = Arc::make_mut(&mut state.map);
        let events = change.changes.into_iter().map(|change| match change {
            Change::Put(entry) => {
                map.insert(entry.key.clone(), entry.value.clone());
                Event::Set {
                    key: entry.key,
                    value: entry.value,
                    revision,
                }
            }
            Change::Deleted(key) => {
                map.remove(&key);
                Event::Deleted { key, revision }
            }
        });
        events.collect()
    }
}

fn differences(before: &Map, after: &Map, revision: u64) -> Vec<Event> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone = gone.map(|key| Event::Deleted {
        key: key.clone(),
        revision,
    });
    let set = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value));
    let set = set.map(|(key, value)| Event::Set {
        key: key.clone(),
        value: value.clone(),
        revision,
    });
    gone.chain(set).collect()
}

/// Follows the dictionary until it is dropped.
pub(crate) async fn follow(
    copy: Arc<DictionaryCopy>,
    dictionary: Arc<Dictionary>,
    events: broadcast::Sender<Event>,
) {
    let tell = |news: Vec<Event>| {
        for event in news {
            // Nobody has to listen.
            let _ = events.send(event);
        }
    };
    loop {
        match begin(&dictionary).await {
            Ok(begun) => {
                tell(copy.replace(begun.map, begun.revision));
                let mut watch = begun.watch;
                let mut voters = dictionary.follow_voters();
                loop {
                    tokio::select! {
                        next = watch.next() => match next {
                            Ok(change) => tell(copy.apply(change)),
                            Err(error) => {
                                tracing::debug!(%error, "the dictionary is copied anew");
                                break;
                            }
                        },
                        () = moved(&mut voters, &begun.voters) => break,
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the dictionary is not copied yet"),
        }
        sleep(PAUSE).await;
    }
}

struct Begun {
    map: Map,
    revision: u64,
    voters: Voters,
    watch: Watch,
}

async fn begin(dictionary: &Dictionary) -> Result<Begun, HeartbeatError> {
    let (revision, entries) = dictionary.all().await?;
    let (voters, client) = dictionary.watcher().await?;
    let watch = client.watch(&Keys::Prefix(Vec::new()), Some(revision + 1))?;
    let entries = entries.into_iter().map(|entry| (entry.key, entry.value));
    Ok(Begun {
        map: entries.collect(),
        revision,
        voters,
        watch,
    })
}

/// Waits until other voters are known than these.
async fn moved(voters: &mut watch::Receiver<Voters>, than: &Voters) {
    if voters.wait_for(|voters| voters != than).await.is_err() {
        // The member ends, and this with it.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&'static str, &'static str)]) -> Map {
        let entries = entries.iter().map(|(key, value)| {
            (
                Bytes::from_static(key.as_bytes()),
                Bytes::from_static(value.as_bytes()),
            )
        });
        entries.collect()
    }

    #[test]
    fn a_copy_that_is_made_anew_tells_what_has_changed_meanwhile() {
        let copy = DictionaryCopy::default();
        assert_eq!(copy.replace(map(&[("a", "1"), ("b", "2")]), 3), []);
        let told = copy.replace(map(&[("a", "1"), ("c", "3")]), 9);
        let expected = [
            Event::Deleted {
                key: "b".into(),
                revision: 9,
            },
            Event::Set {
                key: "c".into(),
                value: "3".into(),
                revision: 9,
            },
        ];
        assert_eq!(told, expected);
        assert_eq!(copy.read().expect("a copy").1, 9);
    }
}
