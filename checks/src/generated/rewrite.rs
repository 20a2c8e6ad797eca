//! Writes a file anew so that one program holds all its mutants, each behind a switch with its
//! number; `switch.rs.txt` is what decides in the running program.
//!
//! In the branch of a mutant the text is as it was: no other mutant is at work then, and so the
//! text grows with the number of mutants and not with the power of their nesting.

use std::collections::BTreeSet;
use std::ops::Range;

use super::find::Function;
use super::site::{Binary, Edit, Place, Site};

/// A mutant's number in the program: from 1 on, for 0 is none.
pub type Number = usize;

/// A file with its mutants in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Where in the text the mutants' branches are.
    pub(super) branches: Vec<(Range<usize>, Number)>,
}

/// Puts the mutants of a file's functions into it. Those of each are numbered from its number on;
/// those of `without` are left out.
pub(super) fn rewrite(
    source: &str,
    functions: &[(Number, &Function)],
    without: &BTreeSet<Number>,
) -> Rewritten {
    let mut sites = Vec::new();
    for &(mut first, function) in functions {
        for site in &function.sites {
            sites.push(Numbered { site, first });
            first += site.changes.len();
        }
    }
    // A function may stand in another.
    sites.sort_by_key(|row| row.site.order());
    let mut writer = Writer {
        source,
        without,
        text: String::new(),
        branches: Vec::new(),
    };
    writer.copy(&(0..source.len()), &sites);
    Rewritten {
        text: writer.text,
        branches: writer.branches,
    }
}

#[derive(Clone, Copy)]
struct Numbered<'a> {
    site: &'a Site,
    first: Number,
}

struct Writer<'a> {
    source: &'a str,
    without: &'a BTreeSet<Number>,
    text: String,
    branches: Vec<(Range<usize>, Number)>,
}

impl Writer<'_> {
    /// Writes a place with the sites in it.
    fn copy(&mut self, place: &Place, sites: &[Numbered<'_>]) {
        let mut position = place.start;
        let mut rest = sites;
        while let Some((next, others)) = rest.split_first() {
            let at = &next.site.place;
            if at.start < position || at.end > place.end {
                rest = others;
                continue;
            }
            let within = others
                .iter()
                .take_while(|other| other.site.place.end <= at.end);
            let (within, behind) = others.split_at(within.count());
            self.push(&(position..at.start));
            self.site(*next, within);
            position = at.end;
            rest = behind;
        }
        self.push(&(position..place.end));
    }

    fn push(&mut self, place: &Place) {
        self.text.push_str(&self.source[place.clone()]);
    }

    /// The numbers of a site's mutants that are not left out, each with its position.
    fn mutants(&self, row: Numbered<'_>) -> Vec<(Number, usize)> {
        let numbers = (row.first..).zip(0..row.site.changes.len());
        let without = self.without;
        numbers
            .filter(|(number, _)| !without.contains(number))
            .collect()
    }

    fn site(&mut self, row: Numbered<'_>, within: &[Numbered<'_>]) {
        let mutants = self.mutants(row);
        let place = &row.site.place;
        if mutants.is_empty() {
            self.copy(place, within);
            return;
        }
        match &row.site.edit {
            Edit::Compare(binary) => self.compare(binary, &mutants, within),
            Edit::Compute(binary) => {
                self.choose(&mutants, |this, mutant| {
                    let operator = binary.others[mutant];
                    this.operands(binary, operator);
                });
                self.text.push('(');
                self.copy(&binary.left, within);
                self.text.push_str(") ");
                self.text.push_str(binary.operator);
                self.text.push_str(" (");
                self.copy(&binary.right, within);
                self.text.push_str(") })");
            }
            Edit::Assign(binary) => {
                self.choose(&mutants, |this, mutant| {
                    this.push(&binary.left);
                    this.text.push_str(&format!(" {} ", binary.others[mutant]));
                    this.push(&binary.right);
                });
                self.copy(place, within);
                self.text.push_str(" })");
            }
            Edit::Unary(operand) => {
                self.choose(&mutants, |this, _| this.push(operand));
                self.copy(place, within);
                self.text.push_str(" })");
            }
            Edit::Fields(fields) => {
                self.choose(&mutants, |this, mutant| {
                    let field = &fields[mutant];
                    this.push(&(place.start..field.start));
                    this.push(&(field.end..place.end));
                });
                self.copy(place, within);
                self.text.push_str(" })");
            }
            Edit::Values(values) => {
                for (number, mutant) in mutants {
                    let value = &values[mutant];
                    self.branch(number, |this| {
                        let switch =
                            format!(" if crate::mutation::is({number}) {{ return {value}; }}");
                        this.text.push_str(&switch);
                    });
                }
                self.copy(place, within);
            }
            Edit::Iterator => {
                let number = mutants[0].0;
                self.text.push_str("{ let kept = !crate::mutation::is(");
                self.text.push_str(&format!("{number}); ("));
                self.copy(place, within);
                self.branch(number, |this| {
                    this.text.push_str(").filter(move |_| kept) }")
                });
            }
            Edit::Arm { guard, may_go, .. } => {
                let number = |position: usize| {
                    let mutant = mutants.iter().find(|(_, mutant)| *mutant == position);
                    mutant.map_or(0, |(number, _)| *number)
                };
                let (gone, fixed) = match may_go {
                    true => (number(0), [number(1), number(2)]),
                    false => (0, [number(0), number(1)]),
                };
                self.arm(place, guard.as_ref(), gone, fixed, within);
            }
        }
    }

    /// Both operands are looked at and left as they are, so that what each mutant would say can be
    /// compared with what is right.
    fn compare(&mut self, binary: &Binary, mutants: &[(Number, usize)], within: &[Numbered<'_>]) {
        self.text.push_str("(match (&(");
        self.copy(&binary.left, within);
        self.text.push_str("), &(");
        self.copy(&binary.right, within);
        let right = format!(
            ")) {{ (l, r) => crate::mutation::pick(*l {} *r, &[",
            binary.operator
        );
        self.text.push_str(&right);
        for &(number, mutant) in mutants {
            let other = binary.others[mutant];
            self.branch(number, |this| {
                this.text.push_str(&format!("({number}, *l {other} *r), "));
            });
        }
        self.text.push_str("]) })");
    }

    fn operands(&mut self, binary: &Binary, operator: &str) {
        self.text.push('(');
        self.push(&binary.left);
        self.text.push_str(&format!(") {operator} ("));
        self.push(&binary.right);
        self.text.push(')');
    }

    /// Begins an expression with a branch for each mutant, and one for none of them, to be ended
    /// with `})`.
    fn choose(&mut self, mutants: &[(Number, usize)], write: impl Fn(&mut Self, usize)) {
        self.text.push('(');
        for &(number, mutant) in mutants {
            self.text
                .push_str(&format!("if crate::mutation::is({number}) {{ "));
            self.branch(number, |this| write(this, mutant));
            self.text.push_str(" } else ");
        }
        self.text.push_str("{ ");
    }

    fn arm(
        &mut self,
        place: &Place,
        guard: Option<&Place>,
        gone: Number,
        [always, never]: [Number; 2],
        within: &[Numbered<'_>],
    ) {
        let start = self.text.len();
        match guard {
            None => self
                .text
                .push_str(&format!(" if !crate::mutation::is({gone})")),
            Some(guard) if always == 0 && never == 0 => {
                self.text
                    .push_str(&format!(" if !crate::mutation::is({gone}) && "));
                self.copy(guard, within);
            }
            Some(guard) => {
                self.push(&(place.start..guard.start));
                self.text.push_str("crate::mutation::guard(");
                self.copy(guard, within);
                self.text.push_str(&format!(", {always}, {never}, {gone})"));
            }
        }
        let end = self.text.len();
        let numbers = [gone, always, never]
            .into_iter()
            .filter(|&number| number > 0);
        self.branches
            .extend(numbers.map(|number| (start..end, number)));
    }

    /// Writes what is a mutant's alone.
    fn branch(&mut self, number: Number, write: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        write(self);
        self.branches.push((start..self.text.len(), number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::functions;

    fn rewritten(source: &str, without: &[Number]) -> Rewritten {
        let functions = functions("a.rs", source).expect("Rust");
        let mut first = 1;
        let numbered: Vec<(Number, &Function)> = functions
            .iter()
            .map(|function| {
                let number = first;
                first += function.mutants.len();
                (number, function)
            })
            .collect();
        rewrite(source, &numbered, &without.iter().copied().collect())
    }

    /// What stands in the place of `body` in a function of which the body is not replaced.
    fn body(body: &str) -> String {
        let text = rewritten(&format!("fn f() {{ {body} }}"), &[1]).text;
        syn::parse_file(&text).expect("Rust");
        text["fn f() { ".len()..text.len() - " }".len()].to_owned()
    }

    #[test]
    fn each_kind_of_site_has_its_switch() {
        assert_eq!(
            rewritten("fn f() -> bool { g() }", &[]).text,
            "fn f() -> bool { if crate::mutation::is(1) { return true; } if crate::mutation::is(2) \
             { return false; } g() }"
        );
        assert_eq!(
            rewritten("fn f() -> impl Iterator<Item = u8> { g() }", &[]).text,
            "fn f() -> impl Iterator<Item = u8> { let kept = !crate::mutation::is(1); ({ g() })\
             .filter(move |_| kept) }"
        );
        assert_eq!(
            body("a == b;"),
            "(match (&(a), &(b)) { (l, r) => crate::mutation::pick(*l == *r, &[(2, *l != *r), ]) });"
        );
        assert_eq!(
            body("a && b;"),
            "(if crate::mutation::is(2) { (a) || (b) } else { (a) && (b) });"
        );
        assert_eq!(
            body("a += 1;"),
            "(if crate::mutation::is(2) { a -= 1 } else if crate::mutation::is(3) { a *= 1 } else \
             { a += 1 });"
        );
        assert_eq!(
            body("!a;"),
            "(if crate::mutation::is(2) { a } else { !a });"
        );
        assert_eq!(
            body("match a { 1 if b => c, 2 => d, _ => e }"),
            "match a { 1 if crate::mutation::guard(b, 3, 4, 2) => c, 2 if \
             !crate::mutation::is(5) => d, _ => e }"
        );
        assert_eq!(
            body("A { b: 1, ..a };"),
            "(if crate::mutation::is(2) { A {  ..a } } else { A { b: 1, ..a } });"
        );
    }

    /// One program is each of the mutants, and says which of them could have made a difference.
    #[test]
    fn a_program_is_each_of_its_mutants() {
        let source = "pub fn f(a: u8) -> bool { match a { 0 if a < 1 => false, _ => a > 2 } }";
        let main = "fn main() {
            let number = std::env::args().nth(1).unwrap().parse().unwrap();
            mutation::choose(number);
            let said: String = (0..4).map(|a| if f(a) { 't' } else { 'f' }).collect();
            let reached: Vec<usize> = mutation::reached().collect();
            println!(\"{said} {reached:?}\");
        }";
        let switch = include_str!("switch.rs.txt").replace("//!", "//");
        let text = rewritten(source, &[]).text;
        let program = format!("mod mutation {{ {switch} const COUNT: usize = 12; }} {text} {main}");
        let folder = tempfile::tempdir().expect("a folder");
        let (file, built) = (folder.path().join("a.rs"), folder.path().join("a"));
        std::fs::write(&file, program).expect("a writable folder");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let status = std::process::Command::new(rustc)
            .args(["--edition", "2024", "-A", "warnings", "-o"])
            .args([&built, &file])
            .status();
        assert!(status.expect("a compiler").success());
        let said = |number: Number| {
            let mut program = std::process::Command::new(&built);
            let output = program.arg(number.to_string()).output();
            String::from_utf8(output.expect("it runs").stdout).expect("text")
        };
        // The guard is asked of 0 alone, and holds: that it always would is no difference (4), nor
        // is `<=` one (8).
        assert_eq!(said(0), "ffft [1, 2, 3, 5, 6, 7, 9, 10, 11]\n");
        let expected = [
            "tttt", "ffff", "ffft", "ffft", "ffft", "ffft", "ffft", "ffft", "fftf", "ftff", "fftt",
        ];
        for (number, expected) in (1..).zip(expected) {
            assert_eq!(said(number).split(' ').next(), Some(expected), "{number}");
        }
    }

    /// What is in the branch of a mutant is not changed beside.
    #[test]
    fn a_mutant_is_one_change() {
        assert_eq!(
            body("a && !b;"),
            "(if crate::mutation::is(2) { (a) || (!b) } else { (a) && ((if \
             crate::mutation::is(3) { b } else { !b })) });"
        );
    }

    #[test]
    fn what_is_left_out_leaves_no_trace() {
        let source = "fn f(a: u8) -> u8 { match a { 1 if a < b => -1, _ if !c => 2, _ => 3 } }";
        let all: Vec<Number> = (1..30).collect();
        assert_eq!(rewritten(source, &all).text, source);
    }

    #[test]
    fn the_branches_are_where_it_says() {
        let rewritten = rewritten("fn f() { !a }", &[]);
        let branches = rewritten.branches.iter();
        let branches = branches.map(|(place, number)| (*number, &rewritten.text[place.clone()]));
        assert_eq!(
            branches.collect::<Vec<_>>(),
            [(1, " if crate::mutation::is(1) { return (); }"), (2, "a")]
        );
    }
}
