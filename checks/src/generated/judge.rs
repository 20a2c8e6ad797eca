//! Judges mutants: a process for each model in which one is at work, the model first that is likely
//! to refute it soon.
//!
//! A model in which the right protocol never reaches the place, or where what is compared comes out
//! the same either way, cannot tell the mutant from it, and is not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use models::specification::Size;
use serde::Deserialize;
use tempfile::TempDir;

use super::copy::{MUTANT, REACHED};
use super::find::Function;
use super::rewrite::Number;
use super::verdict::{Refuted, Verdict};
use crate::catalogue::ProtocolRow;
use crate::engine::Limits;
use crate::fuzz::Plan;
use crate::trace_file::TraceFile;

/// How much memory a model's states may take.
const MEMORY: &str = "2G";

/// How long the right protocol may take in one model, and how long a run is waited for that is not
/// let run.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many times the right protocol's states a mutant may have in a model, and on top of that: by
/// then it has others, and another model is likelier to refute it.
const MORE_STATES: u64 = 4;
const STATES_AT_LEAST: u64 = 10_000;

/// How much longer a mutant may take in a model than the right protocol, and on top of that.
const SLOWER: f64 = 6.0;
const AT_LEAST: Duration = Duration::from_secs(5);

/// How much of the processor a run may use after it was asked to end before it is taken for one
/// that will not. One that merely had to wait for others is not.
const GRACE: Duration = Duration::from_secs(20);

/// What the program is told that a run may take by the clock: longer than it is let run.
const UNLIMITED: Duration = Duration::from_secs(24 * 3600);

/// The exit code of a program that has panicked.
const PANICKED: i32 = 101;

/// How often a process is asked whether it has ended.
const LOOK_UP: Duration = Duration::from_millis(10);

/// The program of all mutants, and the models that judge them.
pub struct Judge {
    program: PathBuf,
    /// Where the runs leave what they write.
    folder: TempDir,
    models: Vec<Model>,
    /// How often a model has refuted a mutant: of the function, of the file, of any.
    refuted: Mutex<BTreeMap<(String, usize), u32>>,
    interrupted: Arc<AtomicBool>,
}

/// A model, as the right protocol shows it.
struct Model {
    name: &'static str,
    walk: Walk,
    /// How much of the processor it takes.
    seconds: f64,
    /// How many states it has, where they are counted.
    states: u64,
    reached: BTreeSet<Number>,
}

impl Model {
    /// What a run in it says of a mutant.
    fn outcome(&self, ended: Ended) -> Result<Outcome> {
        let name = self.name.to_owned();
        let report = match ended {
            Ended::Reported(report) => report,
            Ended::Aborted => return Ok(Outcome::Refuted(Verdict::Aborts(name))),
            Ended::NotAtAll => return Ok(Outcome::Refuted(Verdict::Hangs(name))),
            Ended::TooLate => return Ok(Outcome::OutOfTime),
        };
        Ok(match report.verdict.as_str() {
            // It has come to the greatest number of states.
            "bounded" if self.walk == Walk::Whole => Outcome::Changed,
            "verified" | "bounded" | "held" => Outcome::Holds,
            "changed" => Outcome::Changed,
            "incomplete" => Outcome::OutOfTime,
            _ => Outcome::Refuted(report.refutation(name)?),
        })
    }
}

/// How a model is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Walk {
    Whole,
    Part,
    Sampled,
}

/// What came of one run.
enum Outcome {
    /// Nothing is wrong.
    Holds,
    Refuted(Verdict),
    /// Nothing is wrong but the number of states.
    Changed,
    OutOfTime,
}

/// Of a run's report in JSON, what matters here.
#[derive(Deserialize)]
struct Report {
    verdict: String,
    #[serde(default)]
    unique: u64,
    #[serde(default)]
    violation: Option<String>,
    #[serde(default)]
    trace_file: Option<String>,
    #[serde(default)]
    unseen: Vec<String>,
    #[serde(default)]
    witnesses: Vec<Witness>,
}

#[derive(Deserialize)]
struct Witness {
    name: String,
    required: bool,
    cases: u64,
}

/// How a run ended.
enum Ended {
    Reported(Report),
    /// Without a report: the system ended it, or it panicked before the first step.
    Aborted,
    NotAtAll,
    TooLate,
}

/// How a process was waited for.
enum Waited {
    Over(ExitStatus),
    /// It used the processor, and did not end when asked.
    Hung,
    /// It did not get the processor.
    Starved,
}

impl Judge {
    /// Walks the rows' models with the right protocol in them: what each takes, and what it reaches.
    ///
    /// # Errors
    /// If the right protocol does not hold.
    pub fn new(
        program: PathBuf,
        rows: &[&ProtocolRow],
        interrupted: Arc<AtomicBool>,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let mut judge = Self {
            program,
            folder: tempfile::tempdir().context("no folder for what the runs write")?,
            models: Vec::new(),
            refuted: Mutex::default(),
            interrupted,
        };
        for row in rows {
            let whole = row.models.iter().map(|model| match model.row().size {
                Size::Gate => (model.model(), Walk::Whole),
                Size::Large => (model.model(), Walk::Part),
            });
            let sampled = row
                .fuzzed
                .iter()
                .map(|model| (model.model(), Walk::Sampled));
            for (name, walk) in whole.chain(sampled) {
                let model = judge.control(name, walk)?;
                judge.models.push(model);
            }
        }
        let seconds: f64 = judge.models.iter().map(|model| model.seconds).sum();
        let models = judge.models.len();
        say(&format!(
            "{models} models hold, in {seconds:.0} s of one core\n"
        ));
        Ok(judge)
    }

    /// Looks at the right protocol in a model.
    fn control(&self, name: &'static str, walk: Walk) -> Result<Model> {
        let folder = self.folder()?;
        let reached = folder.path().join("reached");
        let ended = self.run(&folder, name, walk, None, 0, PATIENCE)?;
        let (Ended::Reported(report), used) = ended else {
            bail!("{name} does not end");
        };
        let holds = match walk {
            Walk::Whole => report.verdict == "verified",
            Walk::Part => report.verdict == "bounded",
            Walk::Sampled => report.verdict == "held",
        };
        ensure!(
            holds,
            "the right protocol must hold in {name}, and is {} there{}",
            report.verdict,
            report
                .violation
                .map_or_else(String::new, |why| format!(": {why}"))
        );
        let text =
            fs::read_to_string(&reached).context("the program does not say what it reached")?;
        let reached = text.lines().map(str::parse).collect::<Result<_, _>>();
        Ok(Model {
            name,
            walk,
            seconds: used.as_secs_f64(),
            states: report.unique,
            reached: reached.context("the program does not say what it reached")?,
        })
    }

    /// What comes of a mutant within `budget`, which is of the processor's time. Nothing where the
    /// user has had enough.
    ///
    /// # Errors
    /// If the program cannot be run.
    pub fn judge(
        &self,
        function: &Function,
        number: Number,
        budget: Duration,
    ) -> Result<Option<Verdict>> {
        let mut left = budget;
        let models = self.order(function, number);
        if models.is_empty() {
            return Ok(Some(Verdict::Unreached));
        }
        let (mut changed, mut out_of_time) = (None, None);
        for model in models {
            if left.is_zero() {
                out_of_time = out_of_time.or(Some(model.name));
                break;
            }
            let share = AT_LEAST + Duration::from_secs_f64(SLOWER * model.seconds);
            let (outcome, used) = self.outcome(model, number, share.min(left))?;
            left = left.saturating_sub(used);
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match outcome {
                Outcome::Holds => {}
                Outcome::Refuted(verdict) => {
                    self.remember(function, model);
                    return Ok(Some(verdict));
                }
                Outcome::Changed => changed = changed.or(Some(model.name)),
                Outcome::OutOfTime => out_of_time = out_of_time.or(Some(model.name)),
            }
        }
        Ok(Some(match (changed, out_of_time) {
            (_, Some(model)) => Verdict::TimedOut(model.to_owned()),
            (Some(model), None) => Verdict::CountOnly(model.to_owned()),
            (None, None) => Verdict::Survives,
        }))
    }

    /// The models that may tell the mutant from the right protocol: those that are walked whole, then
    /// those in part, then those sampled; of each first those that have refuted mutants of the same
    /// function, of the same file, or many, for the time that they take.
    fn order(&self, function: &Function, number: Number) -> Vec<&Model> {
        let refuted = self.refuted.lock().unwrap_or_else(PoisonError::into_inner);
        let times = |of: String, position: usize| {
            f64::from(refuted.get(&(of, position)).copied().unwrap_or(0))
        };
        let models = self.models.iter().enumerate();
        let models = models.filter(|(_, model)| model.reached.contains(&number));
        let mut models: Vec<(Walk, f64, &Model)> = models
            .map(|(position, model)| {
                let [of_function, of_file, of_any] = Self::scopes(function);
                let likely = 1.0
                    + 20.0 * times(of_function, position)
                    + 2.0 * times(of_file, position)
                    + 0.1 * times(of_any, position);
                (model.walk, likely / (0.1 + model.seconds), model)
            })
            .collect();
        models.sort_by(|(walk, one, _), (other_walk, other, _)| {
            walk.cmp(other_walk).then(other.total_cmp(one))
        });
        models.into_iter().map(|(_, _, model)| model).collect()
    }

    fn scopes(function: &Function) -> [String; 3] {
        let of_function = format!("{} {}", function.file, function.name);
        [of_function, function.file.clone(), String::new()]
    }

    fn remember(&self, function: &Function, by: &Model) {
        let position = self.models.iter().position(|model| model.name == by.name);
        let mut refuted = self.refuted.lock().unwrap_or_else(PoisonError::into_inner);
        for scope in Self::scopes(function) {
            *refuted.entry((scope, position.unwrap_or(0))).or_insert(0) += 1;
        }
    }

    /// What a mutant does in a model, and how much of the processor that took.
    fn outcome(
        &self,
        model: &Model,
        number: Number,
        budget: Duration,
    ) -> Result<(Outcome, Duration)> {
        let folder = self.folder()?;
        let most = MORE_STATES * model.states + STATES_AT_LEAST;
        let (ended, used) =
            self.run(&folder, model.name, model.walk, Some(most), number, budget)?;
        Ok((model.outcome(ended)?, used))
    }

    /// A folder for what one run writes.
    fn folder(&self) -> Result<TempDir> {
        tempfile::tempdir_in(&self.folder).context("no folder for what a run writes")
    }

    /// Runs the program: the mutant of this number, or the right protocol for number 0; and how
    /// much of the processor that took. `budget` is of the processor's time, so that a run is judged
    /// alike whatever runs beside it; `most` is the greatest number of states of a whole walk.
    fn run(
        &self,
        folder: &TempDir,
        model: &str,
        walk: Walk,
        most: Option<u64>,
        number: Number,
        budget: Duration,
    ) -> Result<(Ended, Duration)> {
        let output = folder.path().join("report.json");
        // A large model is looked at, and a world sampled, as far as the gate does so.
        let states = match walk {
            Walk::Part => Some(Limits::STATES_OF_A_LARGE_MODEL),
            Walk::Whole | Walk::Sampled => most,
        };
        let states = states.map(|most| most.to_string());
        let (seed, cases) = (Plan::GATE_SEED.to_string(), Plan::GATE_CASES.to_string());
        let mut command = Command::new(&self.program);
        match walk {
            Walk::Whole => command.args(["verify", "--memory", MEMORY]),
            Walk::Part => command.arg("verify"),
            Walk::Sampled => command.args(["fuzz", "--seed", &seed, "--cases", &cases]),
        };
        if let (Walk::Whole | Walk::Part, Some(states)) = (walk, &states) {
            command.args(["--max-states", states]);
        }
        command
            .args([model, "--json", "--threads", "1", "--traces"])
            .arg(folder.path())
            .args(["--budget", &format!("{}s", UNLIMITED.as_secs())])
            .env(MUTANT, number.to_string())
            .env(REACHED, folder.path().join("reached"))
            .stdin(Stdio::null())
            .stdout(File::create(&output).context("no file for a report")?)
            .stderr(Stdio::null());
        let child = command.spawn().context("cannot run the mutants")?;
        let (waited, used) = wait(child, budget, GRACE, ask_to_end)?;
        let ended = match waited {
            Waited::Over(status) => {
                let text = fs::read_to_string(&output).context("no report")?;
                reported(&text, status).with_context(|| format!("mutant {number} in {model}"))?
            }
            Waited::Hung => Ended::NotAtAll,
            Waited::Starved => Ended::TooLate,
        };
        Ok((ended, used))
    }
}

/// How a run has ended that left this text.
///
/// # Errors
/// If it is no report, and the program says that it could not run: that is nothing that a mutant does.
fn reported(text: &str, status: ExitStatus) -> Result<Ended> {
    let reports: Result<[Report; 1], _> = serde_json::from_str(text);
    match reports {
        Ok([report]) => Ok(Ended::Reported(report)),
        Err(_) if status.code().is_none_or(|code| code == PANICKED) => Ok(Ended::Aborted),
        Err(error) => bail!("no report, and {status}: {error}"),
    }
}

/// Waits until a process has ended; one that has had more than `budget` of the processor is asked to
/// end, and one that does not within `grace` is ended. Also how much of the processor it has had.
fn wait(
    mut child: Child,
    budget: Duration,
    grace: Duration,
    ask_to_end: fn(&Child),
) -> Result<(Waited, Duration)> {
    let started = Instant::now();
    let mut used = Duration::ZERO;
    let mut asked = false;
    loop {
        let waited = started.elapsed();
        used = processor_time(child.id()).unwrap_or(waited).max(used);
        if let Some(status) = child.try_wait().context("cannot wait for a mutant")? {
            return Ok((Waited::Over(status), used));
        }
        if used > budget && !asked {
            ask_to_end(&child);
            asked = true;
        }
        let hangs = used > budget + grace;
        if hangs || waited > budget + PATIENCE {
            child.kill().context("cannot end a mutant")?;
            child.wait().context("cannot wait for a mutant")?;
            let waited = if hangs { Waited::Hung } else { Waited::Starved };
            return Ok((waited, used));
        }
        thread::sleep(LOOK_UP);
    }
}

/// Asks a process to end as Ctrl-C does, where there is such a thing: it reports what it has seen
/// by then. Elsewhere it is ended when the time of grace is over.
fn ask_to_end(child: &Child) {
    #[cfg(unix)]
    if let Ok(process) = i32::try_from(child.id()) {
        use nix::sys::signal::{Signal, kill};
        // One that has just ended needs no asking.
        let _ = kill(nix::unistd::Pid::from_raw(process), Signal::SIGINT);
    }
    #[cfg(not(unix))]
    let _ = child;
}

/// How much of the processor a process has had, where the system tells.
fn processor_time(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the program's name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(10 * ticks))
}

impl Report {
    /// By what a mutant is refuted that does not hold.
    ///
    /// # Errors
    /// If there is a trace that cannot be read.
    fn refutation(self, model: String) -> Result<Verdict> {
        let complaint = self.violation.unwrap_or(self.verdict);
        if let Some(file) = self.trace_file {
            let by = TraceFile::read(Path::new(&file))?.property;
            let by = by.unwrap_or(complaint);
            return Ok(Verdict::Property(Refuted { by, model }));
        }
        let sampled = self.witnesses.into_iter();
        let sampled = sampled.filter(|row| row.required && row.cases == 0);
        let mut unseen = self.unseen.into_iter().chain(sampled.map(|row| row.name));
        let by = unseen.next().unwrap_or(complaint);
        Ok(Verdict::Witness(Refuted { by, model }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_a_process_has_had_is_told() {
        let mine = || processor_time(std::process::id());
        let Some(before) = mine() else {
            // Not every system tells.
            return;
        };
        let started = Instant::now();
        while mine() == Some(before) {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "it stands still"
            );
        }
    }

    /// What comes of a shell that does this, and may have a tenth of a second of the processor.
    #[cfg(unix)]
    fn waited(script: &str) -> Waited {
        let shell = Command::new("sh").args(["-c", script]).spawn();
        let (budget, grace) = (Duration::from_millis(100), Duration::from_millis(200));
        // An interrupt is ignored by what a script starts in the background, and all that it starts.
        let terminate = |child: &Child| {
            let process = i32::try_from(child.id()).expect("a process");
            let process = nix::unistd::Pid::from_raw(process);
            nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        };
        let waited = wait(shell.expect("a shell"), budget, grace, terminate);
        let (waited, used) = waited.expect("it can be ended");
        assert_eq!(used > budget, script.contains("while"), "{used:?}");
        waited
    }

    #[cfg(unix)]
    #[test]
    fn a_run_that_goes_on_is_asked_to_end_and_one_that_does_not_hangs() {
        let costs_nothing = waited("sleep 0.4");
        assert!(matches!(costs_nothing, Waited::Over(status) if status.success()));
        let ends_when_asked = waited("while :; do :; done");
        assert!(matches!(ends_when_asked, Waited::Over(status) if !status.success()));
        let is_deaf = waited("trap '' TERM; while :; do :; done");
        assert!(matches!(is_deaf, Waited::Hung));
    }

    /// A program that cannot run refutes nothing.
    #[cfg(unix)]
    #[test]
    fn a_run_without_a_report_aborts_only_by_a_panic_or_a_signal() {
        let ended = |script: &str| {
            let output = Command::new("sh").args(["-c", script]).output();
            let output = output.expect("a shell");
            reported(&String::from_utf8_lossy(&output.stdout), output.status)
        };
        assert!(matches!(ended("exit 101"), Ok(Ended::Aborted)));
        assert!(matches!(ended("kill -KILL $$"), Ok(Ended::Aborted)));
        assert!(ended("exit 2").is_err());
        let held = ended(r#"echo '[{"verdict":"held"}]'; exit 0"#);
        assert!(matches!(held, Ok(Ended::Reported(_))));
    }

    #[test]
    fn states_beyond_the_most_are_other_states_and_nothing_else() {
        let model = |walk| Model {
            name: "a model",
            walk,
            seconds: 0.0,
            states: 1,
            reached: BTreeSet::new(),
        };
        let of = |walk, verdict: &str| {
            let report = serde_json::json!({ "verdict": verdict, "unique": 50_000 });
            let report = serde_json::from_value(report).expect("a report");
            model(walk)
                .outcome(Ended::Reported(report))
                .expect("it is read")
        };
        assert!(matches!(of(Walk::Whole, "bounded"), Outcome::Changed));
        assert!(matches!(of(Walk::Whole, "verified"), Outcome::Holds));
        assert!(matches!(of(Walk::Part, "bounded"), Outcome::Holds));
        assert!(matches!(of(Walk::Whole, "incomplete"), Outcome::OutOfTime));
    }
}
