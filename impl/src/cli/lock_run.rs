//! `lockstep lock run`: a command under a lock, as flock(1) runs one under a lock of one machine.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lockstep::locks::client::Client;
use lockstep::locks::holder::Holder;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::duration;
use super::lock::HowArgs;

/// The lock was lost while the command ran.
const LOST: u8 = 76;
/// As a shell has it: the command is there, and cannot be run,
const NOT_EXECUTABLE: u8 = 126;
/// or is not there.
const NO_SUCH_COMMAND: u8 = 127;
/// The command is looked after this often.
const POLL: Duration = Duration::from_millis(10);

/// Runs a command while it holds a lock
///
/// The session is kept alive while the command runs, and ended when it has ended. If the lock is lost
/// the command gets SIGTERM, and SIGKILL some time later: as soon as that is known, or when it has not
/// been confirmed for as long as it may be believed, whichever comes first. If `lock run` itself is
/// killed the command is killed with it.
///
/// The command finds in its environment:
///
///   LOCKSTEP_LOCK                 the name of the lock
///   LOCKSTEP_FENCING_TOKEN        the token, as epoch.counter
///   LOCKSTEP_FENCING_TOKEN_ORDER  the same in 32 hexadecimal digits, which sort as text
///
/// Exit code: the command's own, 128 + N where signal N has ended it; 75 when the lock is not granted
/// in time (or as --conflict-exit-code says); 76 when it was lost while the command ran; 126 and 127
/// when the command cannot be run or is not there; 2 on any error, and then it was not run.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RunArgs {
    /// The lock
    name: String,
    #[command(flatten)]
    how: HowArgs,
    /// The exit code when the lock is not granted in time
    #[arg(long, short = 'E', value_name = "CODE", default_value_t = 75)]
    conflict_exit_code: u8,
    /// When the lock is lost the command has so long after SIGTERM
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "2s")]
    kill_after: Duration,
    /// Become the command, as a child of this process, and die with it
    #[arg(long, value_name = "PID", hide = true)]
    as_child_of: Option<i32>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// In a child that is to become the command: becomes it. Returns only if it cannot, or is none.
pub(super) fn become_command(args: &RunArgs) -> Option<anyhow::Result<ExitCode>> {
    let parent = args.as_child_of?;
    let (program, rest) = args.command.split_first()?;
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("warning: the command goes on if this process is killed: {error}");
    }
    // It may have died before.
    if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get()) != Some(parent) {
        return Some(Ok(ExitCode::from(LOST)));
    }
    let error = Command::new(program).args(rest).exec();
    eprintln!("error: {}: {error}", program.display());
    Some(Ok(ExitCode::from(match error.kind() {
        io::ErrorKind::NotFound => NO_SUCH_COMMAND,
        _ => NOT_EXECUTABLE,
    })))
}

/// Acquires the lock, and runs the command.
pub(super) async fn run(mut client: Client, args: RunArgs) -> anyhow::Result<ExitCode> {
    let Some(grant) = args.how.acquire(&mut client, &args.name).await? else {
        eprintln!("not granted in time: the command was not run");
        return Ok(ExitCode::from(args.conflict_exit_code));
    };
    let holder = Holder::keep(&client, grant);
    // Before there is a command that they could leave behind.
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    // Here and in no other task: the child dies with the thread that has begun it, and this is the
    // first.
    let mut child = spawn(&args, &holder).context("the command was not run")?;
    let ended = loop {
        tokio::select! {
            status = until_it_ends(&mut child) => break Ok(status?),
            loss = holder.lost() => break Err(loss),
            _ = terminate.recv() => send(&child, Signal::TERM),
            // A terminal sends it to the command as well, which decides.
            _ = interrupt.recv() => {}
        }
    };
    let status = match ended {
        Ok(status) => status,
        Err(loss) => {
            eprintln!("error: the lock is lost, so the command is ended: {loss}");
            stop(&mut child, args.kill_after).await?;
            return Ok(ExitCode::from(LOST));
        }
    };
    match holder.release().await {
        Ok(true) => {}
        Ok(false) => {
            eprintln!("error: the lock was lost before the command had ended");
            return Ok(ExitCode::from(LOST));
        }
        Err(error) => eprintln!("warning: the lock ends with its session: {error}"),
    }
    Ok(ExitCode::from(code_of(status)))
}

/// Begins the command, by way of this program, which sees to it that it does not outlive us.
fn spawn(args: &RunArgs, holder: &Holder) -> anyhow::Result<Child> {
    let grant = holder.grant();
    let own = std::env::current_exe().context("where is this program?")?;
    let child = Command::new(own)
        .args(["lock", "run", "--as-child-of"])
        .arg(std::process::id().to_string())
        .args([&args.name, "--"])
        .args(&args.command)
        .env("LOCKSTEP_LOCK", &args.name)
        .env("LOCKSTEP_FENCING_TOKEN", grant.token.to_string())
        .env("LOCKSTEP_FENCING_TOKEN_ORDER", grant.token.order())
        .spawn()?;
    Ok(child)
}

async fn until_it_ends(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        sleep(POLL).await;
    }
}

/// Tells the command to end, and ends it if it does not.
async fn stop(child: &mut Child, patience: Duration) -> io::Result<()> {
    send(child, Signal::TERM);
    let end = Instant::now() + patience;
    while child.try_wait()?.is_none() {
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// Sends a signal to a child that nobody has waited for yet: its number is its own still.
fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // One that has ended meanwhile needs none.
    let _ = pid.map(|pid| kill_process(pid, signal));
}

fn code_of(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
