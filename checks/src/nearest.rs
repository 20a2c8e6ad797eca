//! What somebody meant who has misspelt a name.

use anyhow::{Error, anyhow};

/// Names that are less alike are not meant.
const ALIKE: f64 = 0.7;

/// That nothing has this name, what was probably meant, and what there is. `what` says of what kind
/// it is.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> Error {
    let nearest = nearest(name, known).map_or_else(String::new, |nearest| {
        format!(": did you mean \"{nearest}\"?")
    });
    let all = known.join(", ");
    match nearest.is_empty() {
        true => anyhow!("there is no {what} \"{name}\"; there are: {all}"),
        false => anyhow!("there is no {what} \"{name}\"{nearest} There are: {all}"),
    }
}

/// The name that is most like this one, if one is like it at all. Whether letters are capital makes
/// no difference.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let alike = |other: &str| strsim::normalized_damerau_levenshtein(&name, &other.to_lowercase());
    let known = known.iter().map(|other| (alike(other), *other));
    let known = known.filter(|(alike, _)| *alike >= ALIKE);
    known
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_and_what_is_like_nothing_is_not_guessed_at() {
        let known = ["raft/election", "raft/election-5", "zab/two-epochs"];
        assert_eq!(nearest("raft/electoin", &known), Some("raft/election"));
        assert_eq!(nearest("RAFT/ELECTION-5", &known), Some("raft/election-5"));
        assert_eq!(nearest("zab/two-epoch", &known), Some("zab/two-epochs"));
        assert_eq!(nearest("paxos", &known), None);
        let error = unknown("model", "raft/electoin", &known).to_string();
        assert!(
            error.contains("did you mean \"raft/election\"? There are:"),
            "{error}"
        );
    }
}
