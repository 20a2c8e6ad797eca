//! About how many different states were seen, in fixed memory.

/// Linear counting (Whang, Vander-Zanden and Taylor 1990): each fingerprint sets one bit of
/// many, and the number of bits still clear tells how many fingerprints there were. Within
/// one percent up to a hundred million.
pub(super) struct Distinct {
    words: Vec<u64>,
}

impl Distinct {
    /// Two mebibytes.
    const BITS: u64 = 1 << 24;

    pub(super) fn new() -> Self {
        Self {
            words: vec![0; (Self::BITS / 64) as usize],
        }
    }

    pub(super) fn add(&mut self, fingerprint: u64) {
        let bit = fingerprint % Self::BITS;
        self.words[(bit / 64) as usize] |= 1 << (bit % 64);
    }

    pub(super) fn estimate(&self) -> u64 {
        let clear: u64 = self
            .words
            .iter()
            .map(|word| u64::from(word.count_zeros()))
            .sum();
        let bits = Self::BITS as f64;
        (bits * (bits / clear.max(1) as f64).ln()).round() as u64
    }
}
