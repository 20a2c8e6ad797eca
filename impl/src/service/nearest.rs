//! What was meant by a name that is not known.

/// Of the names that are known, the one most like this one, if one is alike enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known
        .into_iter()
        .map(|known| (strsim::jaro(name, known), known));
    let (likeness, nearest) = rated.max_by(|one, other| one.0.total_cmp(&other.0))?;
    // As clap does: what is less alike than that would be a guess.
    (likeness > 0.7).then_some(nearest)
}
