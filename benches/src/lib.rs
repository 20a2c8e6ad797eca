//! What the benches share: clusters to measure, latencies, tables, and a watch over what
//! else the machine does meanwhile.
//!
//! **Every bench asserts its own work**: a bench that measures nothing fails. **Every bench
//! says how busy other processes were**: a figure taken on a busy machine is no figure.
//!
//! `cargo bench -p benches` measures. `cargo test --workspace --bench '*'` runs everything once and
//! quickly, to see that it works, and takes for it what `cargo test --workspace` has built.
#![forbid(unsafe_code)]

pub mod closed_loop;
pub mod cluster;
pub mod comparison;
pub mod counting;
pub mod cpu;
pub mod etcd;
pub mod etcd_client;
pub mod exchange;
pub mod failover;
pub mod floor;
pub mod grid;
pub mod http;
pub mod latency;
pub mod locker;
pub mod measured;
pub mod memory;
pub mod messages;
pub mod mode;
pub mod noise;
pub mod plot;
pub mod probe;
pub mod program;
pub mod server_process;
pub mod table;
pub mod trio;
pub mod zookeeper;
pub mod zookeeper_client;
