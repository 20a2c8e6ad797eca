//! `lockstep demo heartbeat`: members as processes that join and leave, die and come back; a leader that is
//! killed, and a majority that is. Told by a member of this process, as the list changes. Checks what it
//! shows.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use models::NodeId;

use super::processes::MemberProcesses;
use super::story::{Story, require, unexpected, until};
use crate::heartbeat::{ClusterConfig, Config, HeartbeatError, Member, MemberList, Timing};
use crate::service::narrator::DemoError;

/// The number of the member that tells.
const TELLER: u16 = 9;

struct Demo<'a> {
    story: Story<'a>,
    members: MemberProcesses,
    teller: Member,
}

/// Runs the demo with members of `executable`, and tells its steps to `out`.
///
/// # Errors
/// When a step does not show what it should.
pub async fn run(executable: &Path, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let mut story = Story::new(out);
    let cluster = ClusterConfig {
        timing: Timing {
            request_timeout_ms: 3000,
            ..Timing::default()
        },
        ..ClusterConfig::new("demo", [1, 2, 3])
    };
    let mut members = MemberProcesses::new(executable, cluster).map_err(DemoError::client)?;
    let mut pids = Vec::new();
    for id in [1, 2, 3] {
        let pid = members.launch(id).map_err(DemoError::client)?;
        pids.push(format!("{id} is process {pid}"));
    }
    story.say(format!(
        "three nodes started, which vote: {}",
        pids.join(", ")
    ));
    let config = Config::new(members.cluster.clone(), TELLER).on_loopback();
    let teller = Member::join(config).await;
    let teller = teller.map_err(|error| with_logs(&members, "the teller joins", &error))?;
    let mut demo = Demo {
        story,
        members,
        teller,
    };
    let shown = demo.show().await;
    shown.map_err(|error| match error {
        DemoError::Unexpected {
            expected, found, ..
        } => DemoError::Unexpected {
            expected,
            found,
            logs: demo.members.log_tails(),
        },
        other => other,
    })
}

fn with_logs(members: &MemberProcesses, expected: &str, error: &HeartbeatError) -> DemoError {
    DemoError::Unexpected {
        expected: expected.to_owned(),
        found: error.to_string(),
        logs: members.log_tails(),
    }
}

/// A list as the demo shows it.
fn words(list: &MemberList) -> String {
    let ids = list.members.iter().map(|member| member.id.0.to_string());
    format!("List: {}", ids.collect::<Vec<_>>().join(", "))
}

impl Demo<'_> {
    async fn show(&mut self) -> Result<(), DemoError> {
        let first = self.lead().await?;
        self.join_and_leave().await?;
        self.share().await?;
        let second = self.kill_the_leader(first).await?;
        self.kill_the_majority(second).await?;
        self.come_back().await?;
        for id in self.members.ids() {
            self.members.stop(id).map_err(DemoError::client)?;
        }
        self.story.say("all members left in order");
        self.story.line("PASS");
        Ok(())
    }

    async fn lead(&mut self) -> Result<u16, DemoError> {
        let (list, _) = self.list_of(&[1, 2, 3]).await?;
        let leader = leader(&list)?;
        self.story.say(format!(
            "they have found each other by broadcast; {leader} leads in term {}, elected by a majority of \
             the voters 1, 2, 3; {TELLER} is this process, which tells and does not vote",
            list.leader.map_or(0, |leader| leader.term)
        ));
        self.story.line(format!("    {}", words(&list)));
        Ok(leader)
    }

    /// Waits until these processes, and no other, are in the list. Returns that, and how long it took.
    async fn list_of(&self, ids: &[u16]) -> Result<(MemberList, Duration), DemoError> {
        let mut wanted: BTreeSet<NodeId> = ids.iter().copied().map(NodeId).collect();
        wanted.insert(NodeId(TELLER));
        let began = Instant::now();
        let expected = format!("the list is {ids:?}");
        let list = until(&expected, || async {
            let list = self.teller.members();
            let is_so =
                list.is_current && list.ids().into_iter().collect::<BTreeSet<_>>() == wanted;
            match is_so {
                true => Ok(list),
                false => Err(words(&list)),
            }
        });
        Ok((list.await?, began.elapsed()))
    }

    fn launch(&mut self, id: u16) -> Result<(), DemoError> {
        self.members.launch(id).map(drop).map_err(DemoError::client)
    }

    async fn join_and_leave(&mut self) -> Result<(), DemoError> {
        let dead_after = self.members.cluster.timing.dead_after_ms;
        self.launch(4)?;
        self.told("4 joins", &[1, 2, 3, 4]).await?;
        self.launch(5)?;
        self.told("5 joins", &[1, 2, 3, 4, 5]).await?;
        self.members.kill(4).map_err(DemoError::client)?;
        let took = self.told("4 is killed (SIGKILL)", &[1, 2, 3, 5]).await?;
        let limit = Duration::from_millis(dead_after + 2000);
        require(
            "a dead member is dropped in time",
            took < limit,
            format!("{took:?}"),
        )?;
        self.launch(4)?;
        self.told("4 is started again", &[1, 2, 3, 4, 5]).await?;
        self.members.stop(5).map_err(DemoError::client)?;
        self.told("5 leaves in order", &[1, 2, 3, 4]).await?;
        self.members.stop(4).map_err(DemoError::client)?;
        self.told("4 leaves in order", &[1, 2, 3]).await?;
        Ok(())
    }

    async fn told(&mut self, what: &str, ids: &[u16]) -> Result<Duration, DemoError> {
        let (list, took) = self.list_of(ids).await?;
        self.story
            .say(format!("{what}: known after {:.2} s", took.as_secs_f64()));
        self.story.line(format!("    {}", words(&list)));
        Ok(took)
    }

    async fn share(&mut self) -> Result<(), DemoError> {
        let set = self.teller.set("colour", "blue - or, green").await;
        set.map_err(|error| unexpected("a value is set", error))?;
        self.read("blue - or, green").await?;
        self.story
            .say("`colour` set to `blue - or, green`: committed, and read back as it was written");
        Ok(())
    }

    async fn read(&self, expected: &str) -> Result<(), DemoError> {
        let found = self.teller.get("colour").await;
        let found = found.map_err(|error| unexpected("a value is read", error))?;
        let is_so = found.as_deref() == Some(expected.as_bytes());
        require(
            &format!("`colour` is `{expected}`"),
            is_so,
            format!("{found:?}"),
        )
    }

    async fn kill_the_leader(&mut self, first: u16) -> Result<u16, DemoError> {
        self.members.kill(first).map_err(DemoError::client)?;
        let began = Instant::now();
        let next = until("another voter leads", || async {
            let list = self.teller.members();
            match list
                .leader
                .filter(|leader| leader.id.0 != first && list.age < Duration::from_millis(300))
            {
                Some(leader) => Ok(leader),
                None => Err(format!("{:?}", list.leader)),
            }
        });
        let next = next.await?;
        self.story.say(format!(
            "the leader {first} is killed: {} leads in term {}, known after {:.2} s",
            next.id.0,
            next.term,
            began.elapsed().as_secs_f64()
        ));
        let left: Vec<u16> = [1, 2, 3].into_iter().filter(|id| *id != first).collect();
        self.told(&format!("{first} is dropped"), &left).await?;
        self.read("blue - or, green").await?;
        let set = self.teller.set("colour", "red").await;
        set.map_err(|error| unexpected("two of three voters commit", error))?;
        self.story
            .say("`colour` still there; set to `red` by two of three voters");
        Ok(next.id.0)
    }

    async fn kill_the_majority(&mut self, second: u16) -> Result<(), DemoError> {
        let copied = until("the teller's own copy is up to date", || async {
            match self.teller.get_stale("colour") {
                Ok(stale) if stale.value.as_deref() == Some(b"red") => Ok(()),
                stale => Err(format!("{stale:?}")),
            }
        });
        copied.await?;
        self.members.kill(second).map_err(DemoError::client)?;
        let alone = self.members.ids();
        let nobody = until("nobody leads", || async {
            let list = self.teller.members();
            match list.leader.is_none() && !list.is_current {
                true => Ok(()),
                false => Err(format!("{:?}, {:?} old", list.leader, list.age)),
            }
        });
        nobody.await?;
        self.story.say(format!(
            "the leader {second} is killed too: {alone:?} alone is no majority of three, however few are seen \
             alive, and nobody leads"
        ));
        let refused = self.teller.set("colour", "green").await;
        let is_refused = matches!(refused, Err(HeartbeatError::NoMajority(_)));
        require("a write is refused", is_refused, format!("{refused:?}"))?;
        let read = self.teller.get("colour").await;
        require("a read is refused", read.is_err(), format!("{read:?}"))?;
        let stale = self.teller.get_stale("colour");
        let stale = stale.map_err(|error| unexpected("a stale read is answered", error))?;
        let is_so = stale.value.as_deref() == Some(b"red");
        require(
            "the stale read is what was committed",
            is_so,
            format!("{stale:?}"),
        )?;
        self.story.say(format!(
            "set and get say that no majority can be reached; only a stale read is answered: `red`, as it was \
             {:.1} s ago",
            stale.age.as_secs_f64()
        ));
        Ok(())
    }

    async fn come_back(&mut self) -> Result<(), DemoError> {
        for id in [1, 2, 3] {
            if !self.members.ids().contains(&id) {
                self.launch(id)?;
            }
        }
        self.told("the two are started again", &[1, 2, 3]).await?;
        self.read("red").await?;
        let set = self.teller.set("colour", "green").await;
        set.map_err(|error| unexpected("a value is set", error))?;
        self.read("green").await?;
        self.story
            .say("nothing that was committed is lost, and writes are committed again");
        Ok(())
    }
}

fn leader(list: &MemberList) -> Result<u16, DemoError> {
    let leader = list.leader.map(|leader| leader.id.0);
    leader.ok_or_else(|| unexpected("somebody leads", words(list)))
}
