//! `lockstep files shell`: commands line by line, from a terminal or a pipe.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use lockstep::files::client::Client;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::files::{self, Show, is_missing, missing};
use super::{ERROR, NOT_FOUND};

const HELP: &str = "\
create PATH CONTENT    makes a file; the content is the rest of the line
append PATH CONTENT    adds the rest of the line, and a line end, to a file
read PATH              shows what a file holds
delete PATH            removes a file
ls [PREFIX]            lists paths, with size, version and time
stat PATH              shows what is said of a file
help                   shows this
quit                   ends; so does the end of the input
A path with spaces is written in double quotes.";

/// What became of a line.
enum Outcome {
    Done,
    Quit,
}

/// Takes lines until there are no more. The code is that of the worst: a pipe wants to know.
pub(super) async fn run(mut client: Client, sync: bool) -> anyhow::Result<ExitCode> {
    let is_interactive = io::stdin().is_terminal();
    let mut lines = Lines::open(is_interactive)?;
    let mut worst = 0;
    if is_interactive {
        println!("{HELP}");
    }
    while let Some(line) = lines.next()? {
        match carry_out(&mut client, line.trim(), sync).await {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Quit) => break,
            Err(error) if is_missing(&error) => {
                eprintln!("no such file");
                worst = worst.max(NOT_FOUND);
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                worst = worst.max(ERROR);
            }
        }
    }
    // At a terminal every error was seen when it came.
    Ok(ExitCode::from(if is_interactive { 0 } else { worst }))
}

/// Where lines come from.
enum Lines {
    /// A terminal: they can be edited, and found again with the arrow keys.
    Terminal(Box<DefaultEditor>),
    Pipe,
}

impl Lines {
    fn open(is_interactive: bool) -> anyhow::Result<Self> {
        if !is_interactive {
            return Ok(Self::Pipe);
        }
        let editor = DefaultEditor::new().context("the terminal cannot be used")?;
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// The next line; nothing when there are no more.
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Terminal(editor) => match editor.readline("files> ") {
                Ok(line) => {
                    // Whether it can be found again is not worth an error.
                    let _ = editor.add_history_entry(&line);
                    Ok(Some(line))
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
                Err(error) => Err(error).context("the terminal cannot be read any further"),
            },
            Self::Pipe => {
                let mut line = String::new();
                let read = io::stdin().lock().read_line(&mut line);
                let bytes = read.context("standard input cannot be read any further")?;
                Ok((bytes > 0).then_some(line))
            }
        }
    }
}

async fn carry_out(client: &mut Client, line: &str, sync: bool) -> anyhow::Result<Outcome> {
    let (command, rest) = word(line)?;
    if command.is_empty() || command.starts_with('#') {
        return Ok(Outcome::Done);
    }
    let (path, content) = word(rest)?;
    if path.is_empty() && ["create", "append", "read", "delete", "stat"].contains(&command) {
        bail!("{command} needs a path; nothing was sent");
    }
    match command {
        "create" => files::create(client, path, content.as_bytes()).await?,
        "append" => {
            let line = format!("{content}\n");
            files::append(client, path, line.as_bytes(), None).await?;
        }
        "read" => {
            let found = client.read(path, sync).await?.ok_or_else(missing)?;
            let mut out = io::stdout();
            { out.write_all(&found).and_then(|()| out.flush()) }
                .context("the file cannot be written to standard output")?;
            if !found.ends_with(b"\n") && !found.is_empty() {
                println!();
            }
        }
        "delete" => {
            client.delete(path, None).await?;
        }
        "ls" => files::list(client, path, Show::Long, sync).await?,
        "stat" => files::stat(client, path, false, sync).await?,
        "help" => println!("{HELP}"),
        "quit" | "exit" => return Ok(Outcome::Quit),
        other => bail!("there is no command `{other}`; help lists those that there are"),
    }
    Ok(Outcome::Done)
}

/// The first word of a line, and what comes behind it. A word in double quotes may have spaces.
fn word(line: &str) -> anyhow::Result<(&str, &str)> {
    let line = line.trim_start();
    if let Some(quoted) = line.strip_prefix('"') {
        let Some((word, rest)) = quoted.split_once('"') else {
            bail!("a double quote is not closed; nothing was sent");
        };
        return Ok((word, rest.strip_prefix(' ').unwrap_or(rest)));
    }
    Ok(line.split_once(' ').unwrap_or((line, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_quoted_and_the_rest_is_as_it_stands() {
        let split = |line: &'static str| word(line).expect("words");
        assert_eq!(split("create a  b c"), ("create", "a  b c"));
        assert_eq!(split("\"a b\" c d"), ("a b", "c d"));
        assert_eq!(split("ls"), ("ls", ""));
        assert_eq!(split(""), ("", ""));
        assert!(word("\"a").is_err());
    }
}
