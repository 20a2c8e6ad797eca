//! What is known of messages, by their numbers.

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing.
    Unasked,
    /// It is not so.
    No,
    /// It is so.
    Yes,
    /// It is so, and that has been confirmed.
    Confirmed,
}

impl Answer {
    /// Yes or no.
    pub(super) fn of(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }

    /// Whether it is so, if that is known.
    pub(super) fn is_so(self) -> Option<bool> {
        match self {
            Self::Unasked => None,
            Self::No => Some(false),
            Self::Yes | Self::Confirmed => Some(true),
        }
    }
}

/// An answer for each message of which it has been asked.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Two bits a message.
    words: Vec<u64>,
}

/// How many messages a word has room for.
const PER_WORD: u32 = 32;

/// The answers, in the order of their bits.
const ANSWERS: [Answer; 4] = [Answer::Unasked, Answer::No, Answer::Yes, Answer::Confirmed];

impl Answers {
    /// The answer for the message with this number.
    pub(super) fn get(&self, number: u32) -> Answer {
        let word = self.words.get((number / PER_WORD) as usize);
        let bits = word.map_or(0, |word| word >> (2 * (number % PER_WORD)));
        ANSWERS[(bits & 3) as usize]
    }

    /// Notes the answer for the message with this number.
    pub(super) fn set(&mut self, number: u32, answer: Answer) {
        let position = (number / PER_WORD) as usize;
        if self.words.len() <= position {
            self.words.reserve_exact(position + 1 - self.words.len());
            self.words.resize(position + 1, 0);
        }
        let place = 2 * (number % PER_WORD);
        let word = &mut self.words[position];
        *word = *word & !(3 << place) | (answer as u64) << place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_noted_is_known_and_nothing_else() {
        let mut answers = Answers::default();
        answers.set(31, Answer::Yes);
        answers.set(32, Answer::No);
        answers.set(700, Answer::Yes);
        answers.set(700, Answer::Confirmed);
        let known: Vec<(u32, Answer)> = (0..1000)
            .map(|number| (number, answers.get(number)))
            .filter(|(_, answer)| *answer != Answer::Unasked)
            .collect();
        let expected = [
            (31, Answer::Yes),
            (32, Answer::No),
            (700, Answer::Confirmed),
        ];
        assert_eq!(known, expected);
        let so: Vec<Option<bool>> = [0, 31, 32, 700]
            .map(|number| answers.get(number).is_so())
            .into();
        assert_eq!(so, [None, Some(true), Some(false), Some(true)]);
    }
}
