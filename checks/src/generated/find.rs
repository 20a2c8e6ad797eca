//! Finds what can be got wrong in a file: each function with its sites.
//!
//! What is not found: what a macro is given, constants and `const fn`, whose values are computed
//! before the program runs and so cannot be switched, and tests.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    AngleBracketedGenericArguments, Arm, Attribute, Block, Expr, ExprBinary, ExprConst, ExprMatch,
    ExprStruct, ExprUnary, ImplItemFn, ItemConst, ItemFn, ItemImpl, ItemMod, ItemStatic, ItemTrait,
    Pat, Signature, TraitItemFn, Type, UnOp,
};

use super::operators::{Kind, Operator};
use super::site::{Binary, Edit, Place, Site};
use super::values::{self, Values};

/// How much of an expression a change shows.
const SHOWN: usize = 70;

/// A function, and the ways to get it wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its file, from `models/src` on.
    pub file: String,
    /// Its name, with that of its type.
    pub name: String,
    /// A checksum of its tokens.
    pub hash: u32,
    /// Its mutants, in the order of the text.
    pub mutants: Vec<Mutant>,
    pub(super) sites: Vec<Site>,
}

/// One change of a function. A function may have several of the same words, which are numbered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mutant {
    /// The change, in words.
    pub change: String,
    /// Which of those of the same words it is, from 1 on.
    pub occurrence: usize,
}

/// The functions of a file, and what can be changed in them.
///
/// # Errors
/// If it is no Rust.
pub fn functions(file: &str, source: &str) -> Result<Vec<Function>> {
    let syntax = syn::parse_file(source).with_context(|| format!("{file} is no Rust"))?;
    let mut finder = Finder {
        file,
        source,
        names: Vec::new(),
        open: Vec::new(),
        found: Vec::new(),
    };
    finder.visit_file(&syntax);
    let mut functions = finder.found;
    let mut names = BTreeMap::new();
    for function in &mut functions {
        number(&mut names, &mut function.name);
        function.sites.sort_by_key(Site::order);
        function.mutants = mutants(&function.sites);
    }
    functions.retain(|function| !function.mutants.is_empty());
    Ok(functions)
}

/// Functions of one name, in `impl`s for different parameters say, are told apart by numbers.
fn number(names: &mut BTreeMap<String, usize>, name: &mut String) {
    let number = names.entry(name.clone()).or_insert(0);
    *number += 1;
    if *number > 1 {
        *name = format!("{name} ({number})");
    }
}

fn mutants(sites: &[Site]) -> Vec<Mutant> {
    let mut occurrences = BTreeMap::new();
    let changes = sites.iter().flat_map(|site| &site.changes);
    let mutants = changes.map(|change| {
        let occurrence = occurrences.entry(change).or_insert(0);
        *occurrence += 1;
        Mutant {
            change: change.clone(),
            occurrence: *occurrence,
        }
    });
    mutants.collect()
}

struct Finder<'a> {
    file: &'a str,
    source: &'a str,
    /// The names around, of types and of functions.
    names: Vec<String>,
    /// The functions around, from the outside in.
    open: Vec<Function>,
    found: Vec<Function>,
}

impl Finder<'_> {
    /// Looks through a function's body.
    fn function(&mut self, signature: &Signature, body: &Block, is_default: bool) {
        if signature.constness.is_some() {
            return;
        }
        self.names.push(signature.ident.to_string());
        let tokens = format!("{} {}", signature.to_token_stream(), body.to_token_stream());
        let mut sites = Vec::new();
        // `Default::default()` in the place of itself would never end.
        if !is_default {
            sites.extend(self.body(signature, body));
        }
        self.open.push(Function {
            file: self.file.to_owned(),
            name: self.names.join("::"),
            hash: crc32fast::hash(tokens.as_bytes()),
            mutants: Vec::new(),
            sites,
        });
        visit::visit_block(self, body);
        self.found.extend(self.open.pop());
        self.names.pop();
    }

    fn body(&self, signature: &Signature, body: &Block) -> Option<Site> {
        let place = place(body.span());
        match values::of(&signature.output) {
            Values::Written(values) => {
                let text = self.shown(&(place.start + 1..place.end - 1));
                let is_new = |value: &String| *value != text && !(value == "()" && text.is_empty());
                let values: Vec<String> = values.into_iter().filter(is_new).collect();
                let change = |value: &String| format!("replace body with `{value}`");
                Some(Site {
                    place: place.start + 1..place.start + 1,
                    changes: values.iter().map(change).collect(),
                    edit: Edit::Values(values),
                })
            }
            Values::Nothing if !returns(body) => Some(Site {
                place,
                edit: Edit::Iterator,
                changes: vec!["replace body with an empty iterator".to_owned()],
            }),
            Values::Nothing => None,
        }
    }

    fn add(&mut self, site: Site) {
        if let Some(function) = self.open.last_mut()
            && !site.changes.is_empty()
        {
            function.sites.push(site);
        }
    }

    /// A piece of the text on one line, the beginning of a long one.
    fn shown(&self, place: &Place) -> String {
        let text = &self.source[place.clone()];
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.names.push(name);
        visit(self);
        self.names.pop();
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            self.within(item.ident.to_string(), |this| {
                visit::visit_item_mod(this, item)
            });
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = name_of(&item.self_ty);
        let name = match &item.trait_ {
            Some((of_trait, _)) => {
                let of_trait = of_trait.segments.last().map(|last| last.ident.to_string());
                format!("<{of} as {}>", of_trait.unwrap_or_default())
            }
            None => of,
        };
        self.within(name, |this| visit::visit_item_impl(this, item));
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.within(item.ident.to_string(), |this| {
            visit::visit_item_trait(this, item)
        });
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_for_tests(&item.attrs) {
            self.function(&item.sig, &item.block, false);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            let is_default = self
                .names
                .last()
                .is_some_and(|of| of.ends_with(" as Default>"));
            self.function(&item.sig, &item.block, is_default);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body, false);
        }
    }

    fn visit_expr_binary(&mut self, node: &'ast ExprBinary) {
        if let Some(operator) = Operator::of(&node.op)
            // What `let` binds in a chain of `&&` is of no other operator.
            && !is_let_chain(&node.left)
            && !is_let_chain(&node.right)
        {
            let binary = Binary {
                left: place(node.left.span()),
                operator: operator.text,
                right: place(node.right.span()),
                others: operator.others,
            };
            let place = binary.left.start..binary.right.end;
            let shown = self.shown(&place);
            let from = operator.text;
            let change = |to: &&str| format!("replace `{from}` with `{to}` in `{shown}`");
            self.add(Site {
                place,
                changes: operator.others.iter().map(change).collect(),
                edit: match operator.kind {
                    Kind::Compares => Edit::Compare(binary),
                    Kind::Computes => Edit::Compute(binary),
                    Kind::Assigns => Edit::Assign(binary),
                },
            });
        }
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast ExprUnary) {
        if let UnOp::Not(_) | UnOp::Neg(_) = node.op {
            let operand = place(node.expr.span());
            let place = place(node.op.span()).start..operand.end;
            let shown = self.shown(&place);
            self.add(Site {
                changes: vec![format!("delete `{}` from `{shown}`", &shown[..1])],
                place,
                edit: Edit::Unary(operand),
            });
        }
        visit::visit_expr_unary(self, node);
    }

    fn visit_expr_match(&mut self, node: &'ast ExprMatch) {
        self.visit_expr(&node.expr);
        let has_rest = node.arms.iter().any(|arm| matches!(arm.pat, Pat::Wild(_)));
        for arm in &node.arms {
            self.arm(arm, has_rest && !matches!(arm.pat, Pat::Wild(_)));
            self.visit_expr(&arm.body);
        }
    }

    fn visit_expr_struct(&mut self, node: &'ast ExprStruct) {
        if node.rest.is_some() {
            let whole = place(node.span());
            let of = self.shown(&place(node.path.span()));
            let (mut fields, mut changes) = (Vec::new(), Vec::new());
            for pair in node.fields.pairs() {
                fields.push(place(pair.span()));
                let field = pair.value().member.to_token_stream();
                changes.push(format!("delete field `{field}` of `{of}`"));
            }
            self.add(Site {
                place: whole,
                edit: Edit::Fields(fields),
                changes,
            });
        }
        visit::visit_expr_struct(self, node);
    }

    // What is known before the program runs.
    fn visit_item_const(&mut self, _: &'ast ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast ItemStatic) {}
    fn visit_expr_const(&mut self, _: &'ast ExprConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_angle_bracketed_generic_arguments(&mut self, _: &'ast AngleBracketedGenericArguments) {
    }
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

impl Finder<'_> {
    /// An arm that can be deleted, or that has a guard.
    fn arm(&mut self, arm: &Arm, may_go: bool) {
        let (pattern, guard) = match &arm.pat {
            Pat::Guard(guarded) => (&*guarded.pat, Some(&*guarded.guard)),
            pattern => (pattern, None),
        };
        let end = place(pattern.span()).end;
        let shown = self.shown(&place(arm.pat.span()));
        let may_be_fixed = guard.is_some_and(|guard| !is_let_chain(guard));
        let mut changes = Vec::new();
        if may_go {
            changes.push(format!("delete arm `{shown}`"));
        }
        if may_be_fixed {
            changes.push(format!("replace guard with `true` in `{shown}`"));
            changes.push(format!("replace guard with `false` in `{shown}`"));
        }
        let at = guard.map(|guard| place(guard.span()));
        self.add(Site {
            place: end..at.as_ref().map_or(end, |guard| guard.end),
            edit: Edit::Arm {
                guard: at,
                may_go,
                may_be_fixed,
            },
            changes,
        });
        if let Some(guard) = guard {
            self.visit_expr(guard);
        }
    }
}

fn place(span: Span) -> Place {
    span.byte_range()
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string();
        text == "test" || text == "cfg (test)"
    })
}

/// The last name of a type's path.
fn name_of(of: &Type) -> String {
    match of {
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.map(|last| last.ident.to_string()).unwrap_or_default()
        }
        Type::Reference(of) => name_of(&of.elem),
        of => of.to_token_stream().to_string(),
    }
}

/// Whether an expression binds names for what comes behind it.
fn is_let_chain(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => is_let_chain(&binary.left) || is_let_chain(&binary.right),
        _ => false,
    }
}

/// Whether a body may end before its end.
fn returns(body: &Block) -> bool {
    struct Looks(bool);
    impl<'ast> Visit<'ast> for Looks {
        fn visit_expr_return(&mut self, _: &'ast syn::ExprReturn) {
            self.0 = true;
        }
        fn visit_expr_try(&mut self, _: &'ast syn::ExprTry) {
            self.0 = true;
        }
        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
    }
    let mut looks = Looks(false);
    looks.visit_block(body);
    looks.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(source: &str) -> Vec<String> {
        let functions = functions("a.rs", source).expect("Rust");
        let mutants = functions.iter().flat_map(|function| &function.mutants);
        mutants.map(|mutant| mutant.change.clone()).collect()
    }

    /// What is found in a function that returns nothing written, but for its body.
    fn within(body: &str) -> Vec<String> {
        let changes = changes(&format!("fn f() {{ {body} }}"));
        changes[1..].to_vec()
    }

    #[test]
    fn a_body_is_replaced_by_values() {
        assert_eq!(changes("fn f() { g() }"), ["replace body with `()`"]);
        assert_eq!(
            changes("fn f() -> Option<bool> { None }"),
            [
                "replace body with `Some(true)`",
                "replace body with `Some(false)`"
            ]
        );
        let iterator = "fn f() -> impl Iterator<Item = u8> { [1].into_iter() }";
        assert_eq!(changes(iterator), ["replace body with an empty iterator"]);
        // What does nothing cannot do less, and a default is its own.
        assert_eq!(changes("fn f() {}"), [] as [&str; 0]);
        let default = "impl Default for A { fn default() -> Self { Self { a: 1 } } }";
        assert_eq!(changes(default), [] as [&str; 0]);
    }

    #[test]
    fn operators_are_replaced() {
        assert_eq!(
            within("a < b;"),
            [
                "replace `<` with `==` in `a < b`",
                "replace `<` with `>` in `a < b`",
                "replace `<` with `<=` in `a < b`"
            ]
        );
        assert_eq!(within("a && b;"), ["replace `&&` with `||` in `a && b`"]);
        assert_eq!(
            within("a += 1;"),
            [
                "replace `+=` with `-=` in `a += 1`",
                "replace `+=` with `*=` in `a += 1`"
            ]
        );
        assert_eq!(
            within("a(!b, -c);"),
            ["delete `!` from `!b`", "delete `-` from `-c`"]
        );
        // What `let` binds is of `&&` alone; what is compared beside it is not.
        assert_eq!(
            within("if let Some(a) = b && a == c {}"),
            ["replace `==` with `!=` in `a == c`"]
        );
    }

    #[test]
    fn arms_with_a_rest_are_deleted_and_guards_are_fixed() {
        assert_eq!(
            within("match a { 1 if b => c(), 2 => d(), _ => {} }"),
            [
                "delete arm `1 if b`",
                "replace guard with `true` in `1 if b`",
                "replace guard with `false` in `1 if b`",
                "delete arm `2`"
            ]
        );
        assert_eq!(
            within("match a { A::B => c(), A::C => d() }"),
            [] as [&str; 0]
        );
    }

    #[test]
    fn fields_with_a_rest_are_deleted() {
        assert_eq!(
            within("A { b: 1, c, ..a }"),
            ["delete field `b` of `A`", "delete field `c` of `A`"]
        );
        assert_eq!(within("A { b: 1, c };"), [] as [&str; 0]);
    }

    #[test]
    fn what_cannot_be_switched_is_left_alone() {
        let source = "
            const A: u8 = 1 + 2;
            const fn b() -> u8 { 1 + 2 }
            fn c(d: [u8; 1 + 2]) { assert!(d.len() == 3) }
            #[cfg(test)] mod tests { fn e() -> u8 { 1 + 2 } }
            #[test] fn f() -> u8 { 1 + 2 }";
        assert_eq!(changes(source), ["replace body with `()`"]);
    }

    #[test]
    fn functions_have_the_names_of_their_types_and_changes_are_numbered() {
        let source = "
            impl A { fn f(a: bool) { g(!a, !a); } }
            impl B<u8> for A { fn f() { g() } }
            impl B<u16> for A { fn f() { g() } }
            trait C { fn f() { fn inner() { g() } inner() } }";
        let functions = functions("a.rs", source).expect("Rust");
        let names: Vec<&str> = functions.iter().map(|row| row.name.as_str()).collect();
        let expected = [
            "A::f",
            "<A as B>::f",
            "<A as B>::f (2)",
            "C::f::inner",
            "C::f",
        ];
        assert_eq!(names, expected);
        let occurrences = functions[0].mutants.iter().map(|mutant| mutant.occurrence);
        assert_eq!(occurrences.collect::<Vec<_>>(), [1, 1, 2]);
    }

    #[test]
    fn the_checksum_is_of_what_the_compiler_sees() {
        let hash = |source| functions("a.rs", source).expect("Rust")[0].hash;
        let function = hash("fn f() { g(1) }");
        assert_eq!(
            hash("/// Words.\nfn f() {\n    // More.\n    g(1)\n}"),
            function
        );
        assert_ne!(hash("fn f() { g(2) }"), function);
        assert_ne!(hash("fn f(a: A) { g(1) }"), function);
    }

    #[test]
    fn the_same_text_has_the_same_mutants() {
        let source = include_str!("find.rs");
        let find = || functions("find.rs", source).expect("Rust");
        assert!(find().len() > 10);
        assert_eq!(find(), find());
    }
}
