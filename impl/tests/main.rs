//! The runtime and its services, tested from outside. One binary, one module per concern.
#![cfg(not(lockstep_loom))]

mod driver;
mod driver_checkpoints;
mod http_server;
mod journal_crash;
mod journal_file;
mod kv_checkpoints;
mod kv_cli;
mod kv_cli_bytes;
mod kv_cli_errors;
mod kv_config;
mod kv_crash;
mod kv_failover;
mod kv_founding;
mod kv_handover;
mod kv_http;
mod kv_identity;
mod kv_machine;
mod kv_membership;
mod kv_moved_node;
mod kv_overload;
mod kv_recover;
mod kv_sessions;
mod kv_silent_clients;
mod kv_slow_disk;
mod kv_slow_fsync;
mod kv_snapshots;
mod kv_storm;
mod kv_unread_log;
mod local_network;
mod secured_cluster;
mod simulation;
mod support;
mod tcp;
mod tls;
mod wire;
