//! Raft's mutants.
/// x
pub struct Mutant;
/// x
pub const MUTANTS: &[Mutant] = &[];
