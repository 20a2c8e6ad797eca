//! What a function might return without doing anything: values that can be written down for its
//! type, whether or not the compiler accepts them.

use syn::{GenericArgument, PathArguments, ReturnType, Type, TypeParamBound, TypePath};

/// A function of more values than these is not worth more mutants.
const MOST: usize = 6;

/// What a body is replaced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// By each of these.
    Written(Vec<String>),
    /// By an iterator of the type that it has, of nothing.
    Nothing,
}

/// The values of a function's return type.
pub(super) fn of(output: &ReturnType) -> Values {
    match output {
        ReturnType::Default => Values::Written(vec!["()".to_owned()]),
        ReturnType::Type(_, of) if is_iterator(of) => Values::Nothing,
        ReturnType::Type(_, of) => Values::Written(written(of)),
    }
}

fn is_iterator(of: &Type) -> bool {
    let Type::ImplTrait(of) = of else {
        return false;
    };
    of.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last();
            last.is_some_and(|last| last.ident.to_string().ends_with("Iterator"))
        }
        _ => false,
    })
}

fn written(of: &Type) -> Vec<String> {
    let mut values = match of {
        Type::Path(path) => of_path(path),
        Type::Reference(of) => of_reference(&of.elem),
        Type::Tuple(of) => products(&of.elems.iter().map(written).collect::<Vec<_>>()),
        Type::Paren(of) => written(&of.elem),
        _ => Vec::new(),
    };
    values.truncate(MOST);
    values
}

fn of_path(of: &TypePath) -> Vec<String> {
    let Some(last) = of.path.segments.last() else {
        return Vec::new();
    };
    let arguments: Vec<&Type> = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            let types = arguments.args.iter();
            let types = types.filter_map(|argument| match argument {
                GenericArgument::Type(of) => Some(of),
                _ => None,
            });
            types.collect()
        }
        _ => Vec::new(),
    };
    let first = || arguments.first().map_or_else(Vec::new, |of| written(of));
    let each = |before: &str, values: Vec<String>| {
        let values = values.into_iter();
        values.map(|value| format!("{before}({value})")).collect()
    };
    let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
    match last.ident.to_string().as_str() {
        "bool" => owned(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => owned(&["0", "1"]),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => owned(&["0", "1", "-1"]),
        "String" => vec![
            "alloc::string::String::new()".to_owned(),
            "alloc::string::String::from(\"xyzzy\")".to_owned(),
        ],
        "Option" => [owned(&["None"]), each("Some", first())].concat(),
        // `fmt::Result` and its like name no type.
        "Result" if arguments.is_empty() => owned(&["Ok(())"]),
        "Result" => each("Ok", first()),
        "Box" => each("alloc::boxed::Box::new", first()),
        "Rc" => each("alloc::rc::Rc::new", first()),
        "Arc" => each("alloc::sync::Arc::new", first()),
        "Vec" => of_vector(&first()),
        "BTreeSet" | "BTreeMap" | "VecDeque" => {
            let elements: Vec<Vec<String>> = arguments.iter().map(|of| written(of)).collect();
            let elements = match elements.as_slice() {
                [elements] => elements.clone(),
                elements => products(elements),
            };
            let filled = elements.into_iter();
            let filled = filled.map(|value| format!("[{value}].into_iter().collect()"));
            let empty = "Default::default()".to_owned();
            std::iter::once(empty).chain(filled).collect()
        }
        _ => owned(&["Default::default()"]),
    }
}

fn of_vector(elements: &[String]) -> Vec<String> {
    let filled = elements.iter().map(|value| format!("alloc::vec![{value}]"));
    let empty = "alloc::vec::Vec::new()".to_owned();
    std::iter::once(empty).chain(filled).collect()
}

/// What a reference refers to lives for ever.
fn of_reference(to: &Type) -> Vec<String> {
    match to {
        Type::Path(path) if path.path.is_ident("str") => {
            vec!["\"\"".to_owned(), "\"xyzzy\"".to_owned()]
        }
        Type::Slice(of) => {
            let vectors = of_vector(&written(&of.elem)).into_iter();
            vectors.map(|vector| format!("{vector}.leak()")).collect()
        }
        _ => {
            let values = written(to).into_iter();
            let leaked = "alloc::boxed::Box::leak(alloc::boxed::Box::new";
            values.map(|value| format!("{leaked}({value}))")).collect()
        }
    }
}

/// Tuples of all combinations, the first ones of many.
fn products(elements: &[Vec<String>]) -> Vec<String> {
    let mut tuples = vec![String::new()];
    for values in elements {
        let longer = tuples.iter().flat_map(|tuple| {
            let values = values.iter();
            values.map(move |value| format!("{tuple}{value}, "))
        });
        tuples = longer.take(MOST).collect();
    }
    let tuples = tuples.into_iter();
    tuples
        .map(|tuple| format!("({})", tuple.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_type(text: &str) -> Vec<String> {
        match of(&syn::parse_str(&format!("-> {text}")).expect("a type")) {
            Values::Written(values) => values,
            Values::Nothing => vec!["nothing".to_owned()],
        }
    }

    #[test]
    fn each_type_has_its_values() {
        assert_eq!(of(&ReturnType::Default), Values::Written(vec!["()".into()]));
        assert_eq!(of_type("bool"), ["true", "false"]);
        assert_eq!(of_type("i8"), ["0", "1", "-1"]);
        assert_eq!(of_type("Option<u64>"), ["None", "Some(0)", "Some(1)"]);
        assert_eq!(of_type("fmt::Result"), ["Ok(())"]);
        assert_eq!(of_type("Result<bool, E>"), ["Ok(true)", "Ok(false)"]);
        assert_eq!(of_type("&str"), ["\"\"", "\"xyzzy\""]);
        assert_eq!(
            of_type("(bool, Term)"),
            [
                "(true, Default::default(),)",
                "(false, Default::default(),)"
            ]
        );
        assert_eq!(
            of_type("Vec<u8>"),
            ["alloc::vec::Vec::new()", "alloc::vec![0]", "alloc::vec![1]"]
        );
        assert_eq!(of_type("&[u8]")[0], "alloc::vec::Vec::new().leak()");
        assert_eq!(
            of_type("BTreeMap<Term, bool>"),
            [
                "Default::default()",
                "[(Default::default(), true,)].into_iter().collect()",
                "[(Default::default(), false,)].into_iter().collect()"
            ]
        );
        assert_eq!(
            of_type("&Term"),
            ["alloc::boxed::Box::leak(alloc::boxed::Box::new(Default::default()))"]
        );
        assert_eq!(of_type("impl Iterator<Item = u8> + '_"), ["nothing"]);
        assert_eq!(of_type("!"), [] as [&str; 0]);
    }
}
