//! Two systems that do the same in turn, in one run: ours, and where it is there another.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::closed_loop::{self, Client};
use crate::measured::{HEADINGS, Measured};
use crate::noise::Watch;
use crate::table::Table;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Our own system.
    Ours,
    /// The one that it is compared with.
    Theirs,
}

/// One of the two at something that both do.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// A number for what is done: tables are in this order.
    pub place: usize,
    /// Who does it.
    pub side: Side,
    /// Who does what, in words.
    pub name: String,
    /// The processes of the servers.
    pub servers: &'a [u32],
}

/// What was measured so far.
#[derive(Debug)]
pub struct Comparison {
    /// How long a round lasts.
    pub span: Duration,
    results: BTreeMap<(usize, Side), (String, Measured)>,
}

impl Comparison {
    /// Nothing yet.
    pub fn new(span: Duration) -> Self {
        Self {
            span,
            results: BTreeMap::new(),
        }
    }

    /// Has the clients act for a round, and adds what was measured to what was before. Returns them.
    pub fn run<C: Client>(&mut self, runtime: &Runtime, clients: Vec<C>, part: Part<'_>) -> Vec<C> {
        let watch = Watch::start_with(part.servers);
        let (clients, done) = runtime.block_on(closed_loop::run(clients, self.span));
        let usage = watch.usage();
        usage.report(&part.name);
        let unmeasured = || (part.name, Measured::default());
        let entry = self.results.entry((part.place, part.side));
        let (_, measured) = entry.or_insert_with(unmeasured);
        measured.add(&done, &usage, part.servers);
        clients
    }

    /// Prints everything, and the ratios where both were measured.
    pub fn print(&self, title: &str) {
        let mut table = Table::new(title, HEADINGS);
        let headings = ["ratios: ours divided by theirs", "a second", "servers' CPU"];
        let mut ratios = Table::new("in the same run", headings);
        let mut are_both = false;
        for ((place, side), (name, measured)) in &self.results {
            table.row(measured.row(name.clone()));
            let theirs = self.results.get(&(*place, Side::Theirs));
            if let (Side::Ours, Some((_, theirs))) = (side, theirs) {
                are_both = true;
                ratios.row([
                    name.clone(),
                    format!("{:.2}", measured.rate() / theirs.rate()),
                    format!("{:.2}", measured.servers_each() / theirs.servers_each()),
                ]);
            }
        }
        println!("{table}");
        if are_both {
            println!("{ratios}");
        }
    }
}
