//! What the benches share: clusters to measure, latencies, tables, and a watch over what
//! else the machine does meanwhile.
//!
//! **Every bench asserts its own work**: a bench that measures nothing fails. **Every bench
//! says how busy other processes were**: a figure taken on a busy machine is no figure.
//!
//! `cargo bench -p benches` measures; `cargo bench -p benches -- --test` runs everything once
//! and quickly, to see that it works.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod cpu;
pub mod failover;
pub mod floor;
pub mod grid;
pub mod http;
pub mod latency;
pub mod lock_cluster;
pub mod messages;
pub mod mode;
pub mod noise;
pub mod plot;
pub mod probe;
pub mod table;
pub mod trio;
