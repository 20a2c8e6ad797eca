//! Who is there: SWIM (Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style
//! Process Group Membership Protocol", 2002), by the crate `foca`, over UDP.
//!
//! Each node asks another now and then whether it lives; one that does not answer, also not by way of
//! others, is suspected, and, if it does not deny that in time, taken for dead. What a node knows of
//! others goes with the packets that it sends anyway. So each node has a list of members, which lags
//! behind the truth and behind each other's; a counter does not mind.
//!
//! A node knows its members' addresses from their packets. To come to know the first, it asks the
//! addresses that its file names who is there ([`packet`]), again and again: that also brings two halves
//! of a cluster together which have given each other up.
//!
//! **No packet is larger than [`MAX_PACKET_BYTES`]**, so that none is broken up on its way. What does not
//! fit goes with the next one.

pub(crate) mod counts;
pub(crate) mod detector;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod packet;
pub(crate) mod schedule;

pub use self::member::Member;
pub use self::members::{MemberPage, MemberState};

/// What fits into one frame of an Ethernet, with the headers of IPv6 and UDP, and of a tunnel.
pub const MAX_PACKET_BYTES: usize = 1400;
/// So long may the addresses of a node be: a packet names three nodes at most, each with two.
pub const MAX_SWIM_ADDRESS_BYTES: usize = 100;
