//! Clients that change places, and what changes places with them.

use models::specification::Specification;
use models::world::{Parties, Scenario};
use serde_content::{Data as Content, Number, Struct, Value};

use super::content;
use super::orders::orders;

/// A way in which clients change places.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// The new position of each client among the scripts.
    positions: Vec<usize>,
    /// The names that change, and what each becomes.
    names: Vec<(Struct<'static>, Content<'static>)>,
    /// The types of payloads, and of what comes of them.
    types: &'static [&'static str],
    /// The payloads that change, and what each becomes: a bit each.
    payloads: Vec<(u128, u128)>,
}

impl Exchange {
    /// All ways in which the parties of clients that are alike may change places; the first is
    /// that in which none does.
    ///
    /// # Panics
    /// If a party is larger than another, or has a client that is not there, or in another, too.
    pub(super) fn all<P: Specification>(scenario: &Scenario<P>) -> Vec<Self> {
        let parties = scenario.alike_clients.clients;
        let orders = orders(parties.len()).into_iter();
        let positions = orders.map(|order| positions(parties, &order, scenario.scripts.len()));
        positions
            .map(|positions| Self::new(scenario, positions))
            .collect()
    }

    /// What is at one place in a client's script becomes what is at the same place in the script
    /// of the client whose position it takes.
    fn new<P: Specification>(scenario: &Scenario<P>, positions: Vec<usize>) -> Self {
        let parties = &scenario.alike_clients;
        let mut exchange = Self {
            positions,
            names: Vec::new(),
            types: parties.payloads,
            payloads: Vec::new(),
        };
        let borne = |client: usize| borne(parties, &scenario.scripts[client]);
        for client in 0..exchange.positions.len() {
            let theirs = borne(exchange.positions[client]);
            for (ours, theirs) in borne(client).into_iter().zip(theirs) {
                exchange.learn(ours, theirs);
            }
        }
        exchange
    }

    fn learn(&mut self, ours: Struct<'static>, theirs: Struct<'static>) {
        if ours == theirs {
            return;
        }
        if !self.is_payload(&ours) {
            self.names.push((ours, theirs.data));
        } else if self.is_payload(&theirs) {
            let (ours, theirs) = (bits(number(&ours)), bits(number(&theirs)));
            // Of sums it is known what becomes of them when it is known of each payload.
            if ours.is_power_of_two() && theirs.is_power_of_two() {
                self.payloads.push((ours, theirs));
            }
        }
    }

    /// The client's new position.
    pub(super) fn client(&self, client: usize) -> usize {
        self.positions.get(client).copied().unwrap_or(client)
    }

    /// What becomes of a part of a value, if it is a name or a payload.
    pub(super) fn part(&self, part: &Struct<'_>) -> Option<Content<'static>> {
        if !self.payloads.is_empty() && self.is_payload(part) {
            let value = Value::Number(self.number(number(part)));
            return Some(Content::NewType { value });
        }
        let known = self.names.iter().find(|(name, _)| name == part);
        known.map(|(_, becomes)| becomes.clone())
    }

    fn is_payload(&self, part: &Struct<'_>) -> bool {
        self.types.contains(&&*part.name)
    }

    fn number(&self, number: Number) -> Number {
        match number {
            Number::U8(sum) => Number::U8(self.sum(sum)),
            Number::U16(sum) => Number::U16(self.sum(sum)),
            Number::U32(sum) => Number::U32(self.sum(sum)),
            Number::U64(sum) => Number::U64(self.sum(sum)),
            Number::U128(sum) => Number::U128(self.sum(sum)),
            other => unreachable!("a payload is an unsigned number, not {other:?}"),
        }
    }

    /// What becomes of a sum: each payload in it by itself.
    fn sum<N: Copy + Into<u128> + TryFrom<u128>>(&self, sum: N) -> N {
        let old: u128 = sum.into();
        let leave = self.payloads.iter().filter(|(from, _)| old & from != 0);
        let (gone, come) = leave.fold((0, 0), |(gone, come), (from, to)| (gone | from, come | to));
        let new = old & !gone | come;
        let new = N::try_from(new).ok();
        new.expect("a payload becomes one that is as wide")
    }
}

/// The new position of each of so many clients when the parties come in this order.
fn positions(parties: &[&[usize]], order: &[usize], clients: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..clients).collect();
    for (party, &place) in parties.iter().zip(order) {
        assert_eq!(
            party.len(),
            parties[place].len(),
            "parties of clients that are alike have as many clients each"
        );
        for (&client, &position) in party.iter().zip(parties[place]) {
            positions[client] = position;
        }
    }
    let mut members: Vec<usize> = parties.concat();
    members.sort_unstable();
    assert!(
        members.windows(2).all(|pair| pair[0] < pair[1]),
        "a client is in one party of those that are alike"
    );
    positions
}

/// The names and payloads in a script, in their order.
fn borne<T: models::Data>(parties: &Parties, script: &T) -> Vec<Struct<'static>> {
    let mut borne = Vec::new();
    content::replaced(script, &mut |part| {
        let name = &&*part.name;
        if parties.names.contains(name) || parties.payloads.contains(name) {
            borne.push(part.clone().into_owned());
        }
        None
    });
    borne
}

/// The number that a payload is.
fn number(payload: &Struct<'_>) -> Number {
    match &payload.data {
        Content::NewType {
            value: Value::Number(number),
        } => *number,
        other => unreachable!("a payload is a newtype of a number, not {other:?}"),
    }
}

fn bits(number: Number) -> u128 {
    match number {
        Number::U8(bits) => bits.into(),
        Number::U16(bits) => bits.into(),
        Number::U32(bits) => bits.into(),
        Number::U64(bits) => bits.into(),
        Number::U128(bits) => bits,
        other => unreachable!("a payload is an unsigned number, not {other:?}"),
    }
}
