//! Nodes, clients and payloads that are alike: worlds in which they have changed places.
//!
//! A model may declare that some of its nodes differ in nothing but their names, and some of its
//! clients in nothing but who they are and what they write. Worlds that are the same but for that
//! make an orbit, and it is enough to look at one of each (Clarke, Emerson, Jha, Sistla 1996; Ip
//! and Dill 1996), if what may happen, where it leads, and what the properties say, is the same
//! in all of them. Whether it is, is not taken from the declaration: a world in which it is not is
//! [lopsided](is_lopsided), and a violation.
//!
//! Why that is enough. Let a renaming be one of the group that the declared exchanges make: nodes
//! change places with nodes, and, whatever they do, clients with clients. Where no world is
//! lopsided, a world and the renamed one can take the same steps, to worlds of which the same is
//! true, so each run from the one is a run from the other under new names, and meets a broken
//! property after as many steps. This does not ask the renamed world to be reachable, nor the
//! world that the model begins in to be the same when it is renamed: of two worlds that have been
//! reached one is left out only if the other is the same under new names. What may be shown is
//! compared as well, so that nothing is left out that alone shows something.
//!
//! What a client goes by is to be found in a state by what it is in its script: the id of its
//! session, and what it writes. Such values change places with the clients, position by position of
//! their scripts, and the scripts must then be each other's ([`Renaming::all`] refuses others).
//! They are told by the names of their types, as nodes are. A type that a model forgets to list, a
//! total of payloads that is kept as a plain number, an order by ids that a step heeds: each makes
//! worlds lopsided, as soon as it matters. Payloads never change places without clients, for a
//! script says who writes what. They are the bits of numbers; a protocol that adds one up twice
//! makes another one of it, so such a defect may be reported as an asymmetry, a step before the
//! property is broken that it is about.
//!
//! The native engine holds each list of steps, and each sight, against that in one of the renamed
//! worlds: with two ways to place what is alike that is all of them, with more it is drawn by the
//! hash of the world, and an asymmetry that is seldom to be seen may go unseen. When a trace is
//! replayed, its end is held against all.

mod content;
mod exchange;
mod orders;
mod renaming;

use models::specification::Specification;
use models::world::{Action, Scenario, World};

pub use self::renaming::{MOST_WAYS, Renaming};
use crate::examine::{self, Outcome};

/// The name under which a world is reported where what is said to be alike is not.
pub const ALIKE: &str = "What is alike may change places";

/// Whether something that may happen in a world, where it leads, or what a property says, is
/// different when nodes or clients that are alike have changed places.
pub fn is_lopsided<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> bool {
    let mut renamings = Renaming::all(scenario).into_iter();
    renamings.any(|renaming| differs(scenario, world, &renaming))
}

fn differs<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    renaming: &Renaming,
) -> bool {
    let mirror = world.renamed(renaming);
    let broken = |world| examine::broken_invariant(scenario, world);
    if broken(world) != broken(&mirror) {
        return true;
    }
    let actions = examine::actions(scenario, world);
    let possible = examine::actions(scenario, &mirror);
    let leads_elsewhere = |action: &Action<P>| {
        let mirrored = action.renamed(renaming);
        let (here, there) = (
            examine::take(scenario, world, action),
            examine::take(scenario, &mirror, &mirrored),
        );
        !possible.contains(&mirrored)
            || match (here, there) {
                (Outcome::Next(here, broken), Outcome::Next(there, also_broken)) => {
                    here.renamed(renaming) != there || broken != also_broken
                }
                (Outcome::Panicked(_), Outcome::Panicked(_)) => false,
                _ => true,
            }
    };
    actions.len() != possible.len() || actions.iter().any(leads_elsewhere)
}
