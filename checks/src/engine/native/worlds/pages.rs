//! A list that grows without moving what is there: of hundreds of thousands of entries no copy is
//! made, and no room left empty.

use std::ops::{Index, IndexMut};

/// How many entries a page has: a power of two.
const PAGE: usize = 1 << 10;

/// A list, page by page.
pub(super) struct Pages<T> {
    pages: Vec<Vec<T>>,
    len: usize,
}

impl<T> Pages<T> {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self {
            pages: Vec::new(),
            len: 0,
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends an entry.
    pub(super) fn push(&mut self, entry: T) {
        let page = self.len / PAGE;
        if page == self.pages.len() {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        self.pages[page].push(entry);
        self.len += 1;
    }

    /// Drops all entries. Their room is kept.
    pub(super) fn clear(&mut self) {
        self.pages.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;

    fn index(&self, position: usize) -> &T {
        &self.pages[position / PAGE][position % PAGE]
    }
}

impl<T> IndexMut<usize> for Pages<T> {
    fn index_mut(&mut self, position: usize) -> &mut T {
        &mut self.pages[position / PAGE][position % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_where_it_was_pushed_to() {
        let mut pages = Pages::new();
        for round in 1..=2 {
            let entries = round * 3 * PAGE / 2;
            (0..entries).for_each(|entry| pages.push(entry));
            pages[7] += round;
            assert_eq!(pages.len(), entries);
            assert!(
                (0..entries)
                    .all(|entry| pages[entry] == entry + if entry == 7 { round } else { 0 })
            );
            pages.clear();
            assert_eq!(pages.len(), 0);
        }
    }
}
