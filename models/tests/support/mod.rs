//! What the tests share.

pub(crate) mod bench;
pub(crate) mod runs;
pub(crate) mod scribe;
pub(crate) mod walks;
