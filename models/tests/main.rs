//! Tests of the models.
//!
//! `mvcc` asks of the key-value store what etcd was seen to do, command by command.
//! `counter` tests the grow-only counter: the algebra of its merges, and one replica at a time.
//! `paper` asks of one node what the Raft paper says, sentence by sentence; `bully` does so of
//! the Bully algorithm, `maekawa` of Maekawa's. `scenarios` tell the papers' stories with
//! whole clusters, as text to be read. `laws` hold the contracts of the protocol trait and of
//! the world against random runs. `inert` shows that dropping inert messages changes no
//! verdict.

mod bully;
mod counter;
mod inert;
mod laws;
mod maekawa;
mod mvcc;
mod paper;
mod scenarios;
mod support;
mod zab;
