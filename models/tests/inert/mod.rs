//! Dropping inert messages is a reduction: it must change no verdict.
//!
//! Shown here on small worlds: searched with and without it, they have the same node states
//! and the same verdict (`exhaustive`); a message that is called inert changes nothing but
//! the network when it is delivered, then and at any later time, crashes or not (`stable`);
//! defects are found all the same (`planted`). That is Raft; `counter`, `maekawa` and `zab` ask
//! the same of the others. Not shown: that it holds of worlds too large to search without it. For
//! those there is the argument in each protocol's `spec::inert`.

mod counter;
mod every_model;
mod exhaustive;
mod maekawa;
mod planted;
mod reduction;
mod stable;
mod zab;
