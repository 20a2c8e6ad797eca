//! What Maekawa's paper says (1985, with Sanders' correction of 1987), and what this one adds.
//!
//! `quorums` holds the constructions of §3 against the conditions of §2. `arbiter` and
//! `requester` ask of one node what §4 says, sentence by sentence; `clients`, `membership` and
//! `orchestrator` what is added, `carried` that locks outlive an epoch, `locks` that there are many, `leases` that in real time a node gives up before it is given
//! up, and `forged` that nothing breaks a node. `originals` lets the
//! seed programs' defects run until they break what they break, and shows where they do not.
//! `messages` counts them, and how often a request is overtaken.

mod arbiter;
mod bench;
mod carried;
mod clients;
mod forged;
mod leases;
mod locks;
mod membership;
mod messages;
mod orchestrator;
mod originals;
mod quorums;
mod requester;
mod search;
