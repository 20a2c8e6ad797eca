//! `lockstep demo counter`: three nodes as processes that count each on their own, one that is killed, a
//! network that is split, a disk that is emptied, a node that joins and one that leaves. Checks what it
//! shows.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use models::NodeId;
use serde_json::Value;

use crate::counter::client::{Client, ClientError, Counted};
use crate::counter::config::{Config, Timing};
use crate::counter::local::cluster::Processes;
use crate::counter::server::VerbosePage;
use crate::service::narrator::{DemoError, Narrator, PATIENCE};
use crate::service::split_network::SplitNetwork;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);
const THREE: NodeId = NodeId(3);
const FOUR: NodeId = NodeId(4);
/// The session in which the demo's client numbers its requests.
const SESSION: u64 = 7;

struct Demo<'a> {
    narrator: Narrator<'a, Config>,
    network: SplitNetwork,
    /// What has been acknowledged, which is what must have been counted.
    acknowledged: u128,
    sequence: u64,
}

/// Impatient enough to show something soon.
fn timing() -> Timing {
    Timing {
        push_pull_ms: 1000,
        probe_ms: 300,
        suspect_ms: 900,
        ..Timing::default()
    }
}

/// Runs the demo with nodes of `executable`, and tells its steps to `out`.
///
/// # Errors
/// When a step does not show what it should.
pub async fn run(executable: &Path, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let config = Config {
        timing: timing(),
        ..Config::of("loopback", Vec::new())
    };
    let (nodes, network) = Processes::start_on_split_network(executable, &config, 3)?;
    let mut demo = Demo {
        narrator: Narrator::new(nodes, out),
        network,
        acknowledged: 0,
        sequence: 0,
    };
    demo.show().await
}

impl Demo<'_> {
    async fn show(&mut self) -> Result<(), DemoError> {
        self.narrator.tell_start("three nodes");
        self.know_each_other(&[ONE, TWO, THREE]).await?;
        self.count_everywhere().await?;
        self.refuse_what_is_no_amount().await?;
        self.retry().await?;
        self.window().await?;
        self.kill_and_restart().await?;
        self.split_and_heal().await?;
        self.empty_a_disk().await?;
        self.join().await?;
        self.leave().await?;
        self.narrator.stop()?;
        self.narrator.pass();
        Ok(())
    }

    /// A client that asks this node alone.
    fn client(&self, id: NodeId) -> Result<Client, DemoError> {
        let address = self.narrator.address(id);
        Client::new(vec![address], Duration::from_secs(5)).map_err(DemoError::client)
    }

    async fn know_each_other(&mut self, ids: &[NodeId]) -> Result<(), DemoError> {
        for &id in ids {
            let others: BTreeSet<NodeId> = ids.iter().copied().filter(|one| *one != id).collect();
            let expected = format!("{id} knows that the others are there");
            let look = || async {
                let page = self.page(id, "/status").await?;
                let members: BTreeSet<NodeId> = serde_json::from_value(page["members"].clone())
                    .map_err(|error| error.to_string())?;
                if members == others {
                    return Ok(());
                }
                Err(format!("{members:?}"))
            };
            self.narrator.until(&expected, look).await?;
        }
        self.narrator.say(format!(
            "all {} nodes have found each other, by SWIM",
            ids.len()
        ));
        Ok(())
    }

    async fn page(&self, id: NodeId, path: &str) -> Result<Value, String> {
        let url = format!("http://{}{path}", self.narrator.address(id));
        let client = self.client(id).map_err(|error| error.to_string())?;
        let text = client.raw_page(&url).await?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    async fn count(&mut self, id: NodeId, amount: u64) -> Result<Counted, DemoError> {
        self.sequence += 1;
        let mut client = self.client(id)?;
        let counted = client.count_as(SESSION, self.sequence, amount).await;
        let expected = format!("{id} counts {amount}");
        let counted = self.narrator.check(&expected, counted)?;
        self.narrator
            .require(&expected, !counted.repeated, "it says that it had before")?;
        self.acknowledged += u128::from(amount);
        Ok(counted)
    }

    /// Waits until these nodes all say that the value is what has been acknowledged.
    async fn agree(&self, ids: &[NodeId]) -> Result<(), DemoError> {
        for &id in ids {
            self.come_to(id, self.acknowledged).await?;
        }
        Ok(())
    }

    async fn come_to(&self, id: NodeId, value: u128) -> Result<(), DemoError> {
        let look = || async {
            let mut client = self.client(id).map_err(|error| error.to_string())?;
            match client.value().await {
                Ok(found) if found == value => Ok(()),
                Ok(found) => Err(found.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        let expected = format!("{id} comes to the value {value}");
        self.narrator.until(&expected, look).await
    }

    async fn verbose(&self, id: NodeId) -> Result<VerbosePage, DemoError> {
        let page = self.client(id)?.verbose().await;
        self.narrator
            .check(&format!("{id} says what it knows"), page)
    }

    async fn count_everywhere(&mut self) -> Result<(), DemoError> {
        for (id, amount) in [(ONE, 5), (TWO, 7), (THREE, 30)] {
            self.count(id, amount).await?;
        }
        self.agree(&[ONE, TWO, THREE]).await?;
        self.narrator.say(format!(
            "5 counted at {ONE}, 7 at {TWO} and 30 at {THREE}, each acknowledged by that node's own \
             disk: all come to {}",
            self.acknowledged
        ));
        Ok(())
    }

    async fn refuse_what_is_no_amount(&mut self) -> Result<(), DemoError> {
        let client = self.client(ONE)?;
        for amount in ["0", "-1", "ten", "18446744073709551616"] {
            let url = format!("http://{}/inc?amount={amount}", self.narrator.address(ONE));
            let refused = client.raw_page(&url).await;
            let is_refused = { refused.as_ref() }
                .is_err_and(|words| words.contains("400") && words.contains("nothing was counted"));
            let expected = format!("an amount of {amount} is refused");
            self.narrator
                .require(&expected, is_refused, &format!("{refused:?}"))?;
        }
        self.come_to(ONE, self.acknowledged).await?;
        self.narrator
            .say("amounts of 0, -1, ten and 2^64 refused with 400, and nothing counted");
        Ok(())
    }

    async fn retry(&mut self) -> Result<(), DemoError> {
        self.count(ONE, 100).await?;
        let mut client = self.client(ONE)?;
        let again = client.count_as(SESSION, self.sequence, 100).await;
        let again = self.narrator.check("the retry is answered", again)?;
        self.narrator.require(
            "the retry counts nothing",
            again.repeated,
            &format!("{again:?}"),
        )?;
        self.agree(&[ONE, TWO, THREE]).await?;
        self.narrator.say(format!(
            "100 counted, and the same numbered request asked again: counted once, {} everywhere",
            self.acknowledged
        ));
        Ok(())
    }

    async fn window(&mut self) -> Result<(), DemoError> {
        let page = self.client(TWO)?.window(Some(240)).await;
        let page = self.narrator.check("a window is told", page)?;
        self.narrator
            .require_equal("what was counted in it", &page.value, &self.acknowledged)?;
        self.narrator.say(format!(
            "{} of it in the latest four minutes, as {TWO} knows",
            page.value
        ));
        Ok(())
    }

    async fn kill_and_restart(&mut self) -> Result<(), DemoError> {
        self.count(TWO, 1000).await?;
        self.narrator.nodes.kill(TWO)?;
        self.narrator
            .say(format!("1000 counted at {TWO}, and {TWO} killed (SIGKILL)"));
        self.count(ONE, 2000).await?;
        self.narrator.nodes.launch(TWO)?;
        self.agree(&[ONE, TWO, THREE]).await?;
        self.narrator.say(format!(
            "2000 counted at {ONE} meanwhile; {TWO} started again: nothing lost, {} everywhere",
            self.acknowledged
        ));
        Ok(())
    }

    async fn split_and_heal(&mut self) -> Result<(), DemoError> {
        let before = self.acknowledged;
        self.network.split([THREE]);
        self.count(ONE, 10_000).await?;
        self.count(TWO, 20_000).await?;
        self.count(THREE, 300_000).await?;
        self.come_to(ONE, before + 30_000).await?;
        self.come_to(TWO, before + 30_000).await?;
        self.come_to(THREE, before + 300_000).await?;
        self.narrator.say(format!(
            "{THREE} cut off from the others: both sides count on, {} here and {} there",
            before + 30_000,
            before + 300_000
        ));
        self.until_given_up(ONE, THREE).await?;
        self.network.heal();
        self.agree(&[ONE, TWO, THREE]).await?;
        self.know_each_other(&[ONE, TWO, THREE]).await?;
        self.narrator.say(format!(
            "the network is whole again: both sides come to {}, exactly",
            self.acknowledged
        ));
        Ok(())
    }

    async fn until_given_up(&mut self, by: NodeId, id: NodeId) -> Result<(), DemoError> {
        let look = || async {
            let page = self.page(by, "/cluster").await?;
            let members = page["members"].as_array().cloned().unwrap_or_default();
            let found = members.iter().find(|member| member["node"] == id.0);
            match found.map(|member| member["state"].clone()) {
                Some(Value::String(state)) if state == "down" => Ok(()),
                state => Err(format!("{state:?}")),
            }
        };
        let expected = format!("{by} gives {id} up");
        self.narrator.until(&expected, look).await?;
        self.narrator.say(format!("{by} takes {id} for dead"));
        Ok(())
    }

    async fn empty_a_disk(&mut self) -> Result<(), DemoError> {
        let before = self.verbose(TWO).await?.replica;
        self.agree(&[ONE, TWO, THREE]).await?;
        self.narrator.nodes.kill(TWO)?;
        let directory = self.narrator.nodes.data_directory(TWO);
        let emptied = fs::remove_dir_all(&directory);
        self.narrator
            .check("its data directory is emptied", emptied)?;
        self.narrator.nodes.launch(TWO)?;
        self.agree(&[ONE, TWO, THREE]).await?;
        let after = self.verbose(TWO).await?.replica;
        let found = format!("{before:?} and {after:?}");
        self.narrator
            .require("it counts under another name", before != after, &found)?;
        self.count(TWO, 1_000_000).await?;
        self.agree(&[ONE, TWO, THREE]).await?;
        self.narrator.say(format!(
            "{TWO} killed and its disk emptied: it comes back as another replica, what it had counted \
             stays, and it counts on: {}",
            self.acknowledged
        ));
        Ok(())
    }

    async fn join(&mut self) -> Result<(), DemoError> {
        let mut node = Processes::new_node(FOUR)?;
        node.data_centre = Some(1);
        self.narrator
            .nodes
            .alter(|config| config.nodes.push(node))?;
        self.narrator.nodes.launch(FOUR)?;
        self.know_each_other(&[ONE, TWO, THREE, FOUR]).await?;
        self.count(FOUR, 5_000_000).await?;
        self.agree(&[ONE, TWO, THREE, FOUR]).await?;
        self.narrator.say(format!(
            "{FOUR} joined from another data centre, knows all that was counted before, and counts: {}",
            self.acknowledged
        ));
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), DemoError> {
        self.count(FOUR, 7).await?;
        let left = self.client(FOUR)?.leave().await;
        self.narrator
            .check("it leaves once all know what it knew", left)?;
        let status = self.narrator.nodes.wait(FOUR)?;
        self.narrator
            .require("it ends by itself", status.success(), &status.to_string())?;
        let directory = self.narrator.nodes.data_directory(FOUR);
        let removed = fs::remove_dir_all(directory);
        self.narrator
            .check("its data directory is removed", removed)?;
        let refused: Result<Counted, ClientError> = self.client(FOUR)?.increment(1).await;
        self.narrator.require(
            "it counts no more",
            refused.is_err(),
            &format!("{refused:?}"),
        )?;
        self.agree(&[ONE, TWO, THREE]).await?;
        self.narrator.say(format!(
            "{FOUR} left and its disk is gone: all that it counted stays, {}",
            self.acknowledged
        ));
        let patience = PATIENCE.as_secs();
        let expected = format!("the others forget {FOUR} within {patience} seconds");
        let look = || async {
            let page = self.page(ONE, "/status").await?;
            match page["members"].as_array().map(Vec::len) {
                Some(2) => Ok(()),
                _ => Err(page["members"].to_string()),
            }
        };
        self.narrator.until(&expected, look).await
    }
}
