//! About how many different states were seen, in fixed memory.

/// Linear counting (Whang, Vander-Zanden and Taylor 1990): each fingerprint sets one bit of
/// many, and the number of bits still clear tells how many fingerprints there were. Within
/// one percent up to a hundred million.
pub(crate) struct Distinct {
    words: Vec<u64>,
}

impl Distinct {
    /// Two mebibytes.
    const BITS: u64 = 1 << 24;

    pub(crate) fn new() -> Self {
        Self {
            words: vec![0; (Self::BITS / 64) as usize],
        }
    }

    /// Adds a fingerprint. Whether it is new: of one that is, this may be denied, with the
    /// probability with which a bit is set.
    pub(crate) fn add(&mut self, fingerprint: u64) -> bool {
        let is_new = !self.has(fingerprint);
        let bit = fingerprint % Self::BITS;
        self.words[(bit / 64) as usize] |= 1 << (bit % 64);
        is_new
    }

    /// Whether the fingerprint has been added, or one that shares its bit.
    pub(crate) fn has(&self, fingerprint: u64) -> bool {
        let bit = fingerprint % Self::BITS;
        self.words[(bit / 64) as usize] & (1 << (bit % 64)) != 0
    }

    pub(crate) fn estimate(&self) -> u64 {
        let clear: u64 = self
            .words
            .iter()
            .map(|word| u64::from(word.count_zeros()))
            .sum();
        let bits = Self::BITS as f64;
        (bits * (bits / clear.max(1) as f64).ln()).round() as u64
    }
}
