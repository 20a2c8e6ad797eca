//! The grow-only counter: its algebra, as laws over any counters; and what one replica does,
//! after Shapiro et al. 2011 (Specification 6), Almeida et al. 2018 (Algorithm 2) and Demers
//! et al. 1987 (§1.3).

mod algebra;
mod folds;
mod forged;
mod replica;
