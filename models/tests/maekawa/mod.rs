//! What Maekawa's paper says (1985, with Sanders' correction of 1987), and what this one adds.
//!
//! `quorums` holds the constructions of §3 against the conditions of §2. `arbiter` and
//! `requester` ask of one node what §4 says, sentence by sentence; `clients`, `membership` and
//! `orchestrator` what is added. `originals` lets the seed programs' defects run until they break
//! what they break, and shows where they do not; `messages` counts.

mod quorums;
