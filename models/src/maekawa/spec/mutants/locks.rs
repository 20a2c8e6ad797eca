//! Defects in what several locks have in common, and in which are forgotten.

use crate::maekawa::Maekawa;
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[];
