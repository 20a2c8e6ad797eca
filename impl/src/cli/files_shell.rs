//! `lockstep files shell`: commands line by line, from a terminal or a pipe.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use lockstep::files::client::Client;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::files::{self, Show, is_missing, missing};
use super::{ERROR, NOT_FOUND, files_shell_batch, files_shell_watch};

const HELP: &str = "\
create PATH CONTENT    makes a file; the content is the rest of the line
append PATH CONTENT    adds the rest of the line, and a line end, to a file
read PATH              shows what a file holds
delete PATH            removes a file
ls [PREFIX]            lists paths, with size, version and time
stat PATH              shows what is said of a file
batch                  begins a batch: operations, a line for each, which commit does all or none
watch [PREFIX] [from POSITION] [limit COUNT]
                       shows what changes from now on, or after a position, until Ctrl-C, or COUNT
                       changes
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
    let mut interrupts = Interrupts::of(is_interactive)?;
    while let Some(line) = lines.next("files> ")? {
        let command = take(&mut client, &mut lines, line.trim(), sync);
        let Some(done) = interrupts.or_done(command).await else {
            eprintln!("\ninterrupted: if it was a change, it may have been done, or may yet be");
            continue;
        };
        match done {
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
pub(super) enum Lines {
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

    /// Whether somebody sees at once what is wrong with a line.
    pub(super) fn are_typed(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next line; nothing when there are no more.
    pub(super) fn next(&mut self, prompt: &str) -> anyhow::Result<Option<String>> {
        match self {
            Self::Terminal(editor) => match editor.readline(prompt) {
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

/// Ctrl-C at a terminal ends the command that runs, a watch say, and not the shell.
struct Interrupts(Option<Signal>);

impl Interrupts {
    /// Where lines come from a pipe, it ends the program as usual.
    fn of(is_interactive: bool) -> anyhow::Result<Self> {
        let watched = is_interactive.then(|| signal(SignalKind::interrupt()));
        Ok(Self(
            watched.transpose().context("SIGINT cannot be watched")?,
        ))
    }

    /// What the command has come to; nothing if it was interrupted.
    async fn or_done<T>(&mut self, command: impl Future<Output = T>) -> Option<T> {
        let Some(interrupts) = &mut self.0 else {
            return Some(command.await);
        };
        tokio::select! {
            biased;
            _ = interrupts.recv() => None,
            done = command => Some(done),
        }
    }
}

/// Takes a line, and those that belong to it.
async fn take(
    client: &mut Client,
    lines: &mut Lines,
    line: &str,
    sync: bool,
) -> anyhow::Result<Outcome> {
    match word(line)? {
        ("batch", rest) if rest.trim().is_empty() => files_shell_batch::run(client, lines).await?,
        ("batch", _) => bail!(
            "the operations of a batch come after it, a line for each, and then commit; nothing was \
             sent"
        ),
        _ => return carry_out(client, line, sync).await,
    }
    Ok(Outcome::Done)
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
        "watch" => files_shell_watch::run(client, rest).await?,
        "help" => println!("{HELP}"),
        "quit" | "exit" => return Ok(Outcome::Quit),
        other => bail!("there is no command `{other}`; help lists those that there are"),
    }
    Ok(Outcome::Done)
}

/// The first word of a line, and what comes behind it. A word in double quotes may have spaces.
pub(super) fn word(line: &str) -> anyhow::Result<(&str, &str)> {
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
