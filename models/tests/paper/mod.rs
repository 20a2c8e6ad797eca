//! The Raft paper (extended version), sentence by sentence, asked of one node.
//!
//! Each test is named after the section that it quotes. Node 0 is the one on the bench; its
//! peers are played by the test. Where this implementation deviates from the paper, the test
//! says so.

mod disks;
mod s5_1_terms;
mod s5_2_election;
mod s5_3_replication;
mod s5_4_safety;
mod s5_5_crashes;
mod s6_membership;
mod s7_log_compaction;
mod s8_clients;
mod t10_2_pipelining;
mod t3_10_transfer;
mod t4_2_1_learners;
mod t6_2_check_quorum;
mod t6_2_heartbeats;
mod t6_3_sessions;
mod t6_4_follower_reads;
mod t9_6_pre_vote;
