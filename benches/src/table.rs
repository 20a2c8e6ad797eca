//! Tables on standard output.

use std::fmt::{self, Display};

/// A table with a title, a row of headings, and rows of cells.
#[derive(Clone, Debug)]
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<const N: usize>(title: impl Into<String>, headings: [&str; N]) -> Self {
        Self {
            title: title.into(),
            rows: vec![headings.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row at the end.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }
}

impl Display for Table {
    /// The first column is aligned to the left, for it holds names; the others to the right.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        writeln!(f, "\n{}", self.title)?;
        for (number, row) in self.rows.iter().enumerate() {
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "  {cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
            if number == 0 {
                let line: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
                writeln!(f, "  {}", line.join("  "))?;
            }
        }
        Ok(())
    }
}

/// A whole number with its thousands apart: `1,234,567`.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        let left = digits.len() - position;
        if position > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new("speed", ["what", "per s"]);
        table.row(["a".into(), "1,000".into()]);
        table.row(["longer".into(), "7".into()]);
        let text = table.to_string();
        let expected =
            "\nspeed\n  what    per s\n  ------  -----\n  a       1,000\n  longer      7\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn thousands_stand_apart() {
        let numbers = [0.0, 999.0, 1000.0, 1_234_567.0];
        let texts = numbers.map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
