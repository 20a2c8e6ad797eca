//! How each state was found: from which state, by which of its steps.
//!
//! States are numbered in the order in which they are found, and expanded in that order. So
//! the parents of 0, 1, 2 … never go back, and most often stay or move on by one: two bytes a
//! state are enough to find the way to any of them.

use std::io;

use super::bytes;
use super::checkpoint::{Reader, Writer};

/// How many states a page describes.
const PAGE: u64 = 1 << 16;

/// The ways to all states.
#[derive(Default)]
pub(super) struct Discovery {
    pages: Vec<Page>,
    len: u64,
    last_parent: u64,
}

/// The ways to some states that were found one after the other.
struct Page {
    /// What the first state's parent is counted from.
    first_parent: u64,
    /// For each: how far its parent is from the last one's, and by which step.
    bytes: Vec<u8>,
}

impl Discovery {
    /// How many states have been found, the initial one aside.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The memory taken.
    pub(super) fn bytes(&self) -> u64 {
        let pages = self.pages.iter();
        pages.map(|page| page.bytes.capacity() as u64).sum()
    }

    /// Notes that the next state was found from `parent`, by its step number `step`.
    ///
    /// # Panics
    /// If the parent comes before the one noted last.
    pub(super) fn push(&mut self, parent: u64, step: u32) {
        if self.len.is_multiple_of(PAGE) {
            if let Some(full) = self.pages.last_mut() {
                full.bytes.shrink_to_fit();
            }
            self.pages.push(Page {
                first_parent: self.last_parent,
                bytes: Vec::new(),
            });
        }
        let on = parent.checked_sub(self.last_parent);
        let on = on.expect("states are expanded in the order in which they were found");
        let page = self.pages.last_mut().expect("a page was just begun");
        bytes::write(&mut page.bytes, on);
        bytes::write(&mut page.bytes, step.into());
        self.last_parent = parent;
        self.len += 1;
    }

    /// Writes all.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn save(&self, into: &mut Writer<'_>) -> io::Result<()> {
        into.number(self.len)?;
        into.number(self.last_parent)?;
        into.number(self.pages.len() as u64)?;
        self.pages.iter().try_for_each(|page| {
            into.number(page.first_parent)?;
            into.bytes(&page.bytes)
        })
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If there is less.
    pub(super) fn load(from: &mut Reader) -> io::Result<Self> {
        let (len, last_parent) = (from.number()?, from.number()?);
        let page = |from: &mut Reader| {
            Ok(Page {
                first_parent: from.number()?,
                bytes: from.bytes()?,
            })
        };
        let pages = from.number()?;
        let pages: io::Result<Vec<Page>> = (0..pages).map(|_| page(from)).collect();
        Ok(Self {
            pages: pages?,
            len,
            last_parent,
        })
    }

    /// The steps from the initial state to state number `state`, where the initial one is
    /// number 0.
    pub(super) fn path_to(&self, mut state: u64) -> Vec<u32> {
        let mut steps = Vec::new();
        while let Some(found) = state.checked_sub(1) {
            let (parent, step) = self.way(found);
            steps.push(step);
            state = parent;
        }
        steps.reverse();
        steps
    }

    fn way(&self, found: u64) -> (u64, u32) {
        let page = &self.pages[(found / PAGE) as usize];
        let mut reader = page.bytes.as_slice();
        let (mut parent, mut step) = (page.first_parent, 0);
        for _ in 0..=found % PAGE {
            parent += bytes::read(&mut reader);
            step = bytes::read(&mut reader) as u32;
        }
        (parent, step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path in a tree that is larger than a page is found again.
    #[test]
    fn every_path_is_found_again() {
        let mut discovery = Discovery::default();
        let mut expected: Vec<(u64, u32)> = Vec::new();
        for state in 1..=200_000u64 {
            let (parent, step) = (
                state / 3,
                (state % 3) as u32 + 1000 * u32::from(state % 7 == 0),
            );
            discovery.push(parent, step);
            expected.push((parent, step));
        }
        for state in [0, 1, 2, 65_535, 65_536, 65_537, 131_072, 199_999, 200_000] {
            let mut path = Vec::new();
            let mut at: u64 = state;
            while at > 0 {
                let (parent, step) = expected[at as usize - 1];
                path.push(step);
                at = parent;
            }
            path.reverse();
            assert_eq!(discovery.path_to(state), path, "to {state}");
        }
        assert!(discovery.bytes() < 3 * 200_000);
    }
}
