//! What is known of messages, by their numbers.

/// Yes or no, for each message of which it has been asked.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Two bits a message: whether it is known, and then, whether it is so.
    words: Vec<u64>,
}

/// How many messages a word has room for.
const PER_WORD: u32 = 32;

impl Answers {
    /// The answer for the message with this number, if it is known.
    pub(super) fn get(&self, number: u32) -> Option<bool> {
        let word = self.words.get((number / PER_WORD) as usize)?;
        let bits = word >> (2 * (number % PER_WORD));
        (bits & 1 != 0).then_some(bits & 2 != 0)
    }

    /// Notes the answer for the message with this number.
    pub(super) fn set(&mut self, number: u32, is_so: bool) {
        let position = (number / PER_WORD) as usize;
        if self.words.len() <= position {
            self.words.resize(position + 1, 0);
        }
        let bits = if is_so { 3 } else { 1 };
        self.words[position] |= bits << (2 * (number % PER_WORD));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_noted_is_known_and_nothing_else() {
        let mut answers = Answers::default();
        answers.set(31, true);
        answers.set(32, false);
        answers.set(700, true);
        let known: Vec<(u32, bool)> = (0..1000)
            .filter_map(|number| Some((number, answers.get(number)?)))
            .collect();
        assert_eq!(known, [(31, true), (32, false), (700, true)]);
    }
}
