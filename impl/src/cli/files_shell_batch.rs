//! `batch` in `lockstep files shell`: operations line by line, done all or none.

use anyhow::{Context, bail};
use bytes::Bytes;
use lockstep::files::client::Client;
use lockstep::files::store::Operation;

use super::files_shell::{Lines, word};

const HELP: &str = "\
create PATH CONTENT            makes a file; the content is the rest of the line
append PATH CONTENT            adds the rest of the line, and a line end, to a file
replace PATH VERSION CONTENT   gives a file of this version other content
delete PATH [VERSION]          removes a file; of this version only, if one is named
check PATH VERSION|absent      fails the batch unless the file has this version, or is not there
commit                         does all of it, or nothing
abort                          gives the batch up";

/// What a line of a batch wants.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Operation(Operation),
    Nothing,
    Help,
    Commit,
    Abort,
}

/// Takes the lines of a batch, up to the one that ends it, and does it.
pub(super) async fn run(client: &mut Client, lines: &mut Lines) -> anyhow::Result<()> {
    let mut operations = Vec::new();
    // Of a batch that nobody sees being typed, a line that is left out would not be missed.
    let mut spoilt = None;
    loop {
        let Some(line) = lines.next("batch> ")? else {
            bail!("the input ended within a batch: nothing of it was sent");
        };
        match parse(line.trim()) {
            Ok(Line::Operation(operation)) => operations.push(operation),
            Ok(Line::Nothing) => {}
            Ok(Line::Help) => println!("{HELP}"),
            Ok(Line::Abort) => {
                println!("given up: nothing was sent");
                return Ok(());
            }
            Ok(Line::Commit) => break,
            Err(error) if lines.are_typed() => {
                eprintln!("error: {error:#}; the line is left out");
            }
            Err(error) => spoilt = spoilt.or(Some(error)),
        }
    }
    if let Some(error) = spoilt {
        return Err(error.context("nothing of the batch was sent"));
    }
    let version = client.batch(operations).await?;
    println!("done, in version {version}");
    Ok(())
}

fn parse(line: &str) -> anyhow::Result<Line> {
    let (command, rest) = word(line)?;
    if command.is_empty() || command.starts_with('#') {
        return Ok(Line::Nothing);
    }
    let (path, rest) = word(rest)?;
    let line = match command {
        "help" => return Ok(Line::Help),
        "commit" => Line::Commit,
        "abort" => Line::Abort,
        "create" | "append" | "replace" | "delete" | "check" => {
            if path.is_empty() {
                bail!("{command} needs a path");
            }
            return operation(command, path.to_owned(), rest).map(Line::Operation);
        }
        other => bail!("a batch has no `{other}`; help lists what it has"),
    };
    if !path.is_empty() {
        bail!("{command} stands alone in its line");
    }
    Ok(line)
}

fn operation(command: &str, path: String, rest: &str) -> anyhow::Result<Operation> {
    Ok(match command {
        "create" => Operation::Create {
            path,
            content: Bytes::from(rest.to_owned()),
        },
        "append" => Operation::Append {
            path,
            content: Bytes::from(format!("{rest}\n")),
            if_version: None,
        },
        "replace" => {
            let (version, content) = word(rest)?;
            Operation::Replace {
                path,
                content: Bytes::from(content.to_owned()),
                if_version: number(version)?,
            }
        }
        "delete" => Operation::Delete {
            path,
            if_version: match rest.trim() {
                "" => None,
                version => Some(number(version)?),
            },
        },
        _ => Operation::Check {
            path,
            version: match rest.trim() {
                "absent" => None,
                version => Some(number(version)?),
            },
        },
    })
}

fn number(text: &str) -> anyhow::Result<u64> {
    let number = text.parse();
    number.with_context(|| format!("`{text}` is no version: stat shows that of a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_line() {
        let parse = |line: &str| parse(line).expect("a line");
        let path = || "a b".to_owned();
        let operations = [
            (
                "create \"a b\" some  words",
                Operation::Create {
                    path: path(),
                    content: "some  words".into(),
                },
            ),
            (
                "append \"a b\" more",
                Operation::Append {
                    path: path(),
                    content: "more\n".into(),
                    if_version: None,
                },
            ),
            (
                "replace \"a b\" 7 other words",
                Operation::Replace {
                    path: path(),
                    content: "other words".into(),
                    if_version: 7,
                },
            ),
            (
                "delete \"a b\"",
                Operation::Delete {
                    path: path(),
                    if_version: None,
                },
            ),
            (
                "delete \"a b\" 8",
                Operation::Delete {
                    path: path(),
                    if_version: Some(8),
                },
            ),
            (
                "check \"a b\" absent",
                Operation::Check {
                    path: path(),
                    version: None,
                },
            ),
            (
                "check \"a b\" 9",
                Operation::Check {
                    path: path(),
                    version: Some(9),
                },
            ),
        ];
        for (line, operation) in operations {
            assert_eq!(parse(line), Line::Operation(operation), "{line}");
        }
        for (line, wanted) in [
            ("", Line::Nothing),
            ("# a remark", Line::Nothing),
            ("help", Line::Help),
            ("commit", Line::Commit),
            ("abort", Line::Abort),
        ] {
            assert_eq!(parse(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, words) in [
            ("create", "create needs a path"),
            ("replace a x text", "`x` is no version"),
            ("delete a -1", "`-1` is no version"),
            ("check a", "`` is no version"),
            ("read a", "a batch has no `read`"),
            ("commit now", "stands alone"),
            ("create \"a b", "a double quote is not closed"),
        ] {
            let error = format!("{:#}", parse(line).expect_err("refused"));
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
