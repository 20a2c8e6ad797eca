//! `watch` in `lockstep files shell`: what changes, until it is enough, and then the shell goes on.

use anyhow::{Context, bail};
use lockstep::files::client::Client;

use super::files;
use super::files_shell::word;

/// What to watch.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    prefix: String,
    from: Option<u64>,
    limit: Option<usize>,
}

/// Watches as `words` say.
pub(super) async fn run(client: &Client, words: &str) -> anyhow::Result<()> {
    let Wanted {
        prefix,
        from,
        limit,
    } = parse(words)?;
    // One of its own, for it is used up by the watch.
    files::watch(client.another()?, &prefix, from, limit).await
}

fn parse(words: &str) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted::default();
    let (first, mut rest) = word(words)?;
    match first {
        "from" | "limit" => rest = words,
        prefix => wanted.prefix = prefix.to_owned(),
    }
    loop {
        let (name, behind) = word(rest)?;
        let (value, behind) = word(behind)?;
        let number = || {
            let number = value.parse::<u64>();
            number.with_context(|| format!("{name}: `{value}` is no number; nothing was sent"))
        };
        match name {
            "" => return Ok(wanted),
            "from" => wanted.from = Some(number()?),
            "limit" => wanted.limit = Some(usize::try_from(number()?).unwrap_or(usize::MAX)),
            other => bail!(
                "watch has no `{other}`: it is watch [PREFIX] [from POSITION] [limit COUNT]; nothing \
                 was sent"
            ),
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_may_be_said_in_part() {
        let wanted = |prefix: &str, from, limit| Wanted {
            prefix: prefix.to_owned(),
            from,
            limit,
        };
        for (words, expected) in [
            ("", wanted("", None, None)),
            ("notes/", wanted("notes/", None, None)),
            ("\"a b\" limit 2", wanted("a b", None, Some(2))),
            ("from 0", wanted("", Some(0), None)),
            ("notes/ from 7 limit 1", wanted("notes/", Some(7), Some(1))),
            ("limit 1 from 7", wanted("", Some(7), Some(1))),
        ] {
            assert_eq!(parse(words).expect("understood"), expected, "{words}");
        }
        for (words, said) in [
            ("a b", "watch has no `b`"),
            ("from", "from: `` is no number"),
            ("a limit x", "limit: `x` is no number"),
        ] {
            let error = format!("{:#}", parse(words).expect_err("refused"));
            assert!(error.contains(said), "{words}: {error}");
        }
    }
}
