//! Verification runs in processes of their own, so that each has its own memory: what one
//! engine has freed is not yet the system's again when the next one starts.

use std::env;
use std::num::NonZero;
use std::process::Command;
use std::sync::Arc;

use checks::catalogue;
use checks::engine::{Engine, Limits, Reductions};
use checks::memory;
use checks::progress::Progress;
use checks::report::{Report, Verdict};
use checks::subject::Run;

/// What the probing process is told, in its environment: model, engine and threads.
const TASK: &str = "LOCKSTEP_BENCH_PROBE";

/// One engine on so many threads.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The engine.
    pub engine: Engine,
    /// The threads.
    pub threads: NonZero<usize>,
}

/// What a probe has measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Distinct states.
    pub unique: u64,
    /// States generated.
    pub generated: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// By how much the resident set grew at its peak, where the system tells.
    pub bytes: Option<u64>,
}

/// Every engine on one thread and on two, ours first.
pub fn settings() -> Vec<Setting> {
    let engines = [Engine::Native, Engine::StaterightDfs, Engine::StaterightBfs];
    let on = |threads| {
        engines.map(|engine| Setting {
            engine,
            threads: NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN),
        })
    };
    [on(1), on(2)].concat()
}

/// How many states `model` has, as its row of the catalogue says.
///
/// # Panics
/// If there is no such model, or its row does not say.
pub fn states(model: &str) -> u64 {
    let subject = catalogue::named(model).unwrap_or_else(|error| panic!("{error:#}"));
    let states = subject.row().states;
    states.unwrap_or_else(|| panic!("the catalogue does not say how many states {model} has"))
}

impl Setting {
    /// What every engine leaves out: no more than all of them can.
    const REDUCTIONS: Reductions = Reductions {
        inert: true,
        ..Reductions::NONE
    };

    /// The setting in words: `native-2`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.engine.name(), self.threads)
    }

    /// Walks all states of `model`.
    ///
    /// # Panics
    /// If there is no such model, or its states are not all seen, or not as many as its row
    /// says, or a property does not hold: what is fast and wrong is not compared.
    pub fn verify(&self, model: &str) -> Report {
        let subject = catalogue::named(model).unwrap_or_else(|error| panic!("{error:#}"));
        let limits = Limits::on(Some(self.threads));
        let run = Run {
            progress: &Arc::new(Progress::default()),
            traces: &env::temp_dir(),
            reductions: Setting::REDUCTIONS,
            seed: 0,
            checkpoint: None,
        };
        let report = subject
            .verify(self.engine, &limits, &run)
            .unwrap_or_else(|error| panic!("{model} on {}: {error:#}", self.name()));
        let text = report.to_text();
        assert_eq!(report.verdict, Verdict::Verified, "{text}");
        assert_eq!(report.unique, states(model), "{text}");
        report
    }

    /// Verifies `model` in a process of its own, which is this program called again: its
    /// `main` must begin with [`answer`].
    ///
    /// # Panics
    /// If that process fails, or does not say what it measured.
    pub fn probe(&self, model: &str) -> Measured {
        let program = env::current_exe().expect("the path of this program");
        let task = format!("{model} {} {}", self.engine.name(), self.threads);
        let output = Command::new(program)
            .env(TASK, task)
            .output()
            .expect("this program can be started again");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the probe has failed: {errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        Measured::parse(&text).unwrap_or_else(|| panic!("the probe says `{text}`"))
    }
}

impl Measured {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace();
        Some(Self {
            unique: fields.next()?.parse().ok()?,
            generated: fields.next()?.parse().ok()?,
            seconds: fields.next()?.parse().ok()?,
            bytes: fields.next()?.parse().ok(),
        })
    }

    fn to_text(self) -> String {
        let bytes = self.bytes.map_or_else(|| "-".into(), |b| b.to_string());
        let Self {
            unique,
            generated,
            seconds,
            ..
        } = self;
        format!("{unique} {generated} {seconds} {bytes}")
    }
}

/// Does the task that this process was started for by [`Setting::probe`], and says so; else
/// does nothing.
///
/// # Panics
/// If the task makes no sense or fails: whoever gave it sees the message.
pub fn answer() -> bool {
    let Ok(task) = env::var(TASK) else {
        return false;
    };
    let (model, setting) = parse(&task).unwrap_or_else(|| panic!("{TASK} is `{task}`"));
    let before = memory::resident();
    let report = setting.verify(model);
    let grown = |(peak, before): (u64, u64)| peak.saturating_sub(before);
    let measured = Measured {
        unique: report.unique,
        generated: report.generated,
        seconds: report.seconds,
        bytes: report.peak_rss_bytes.zip(before).map(grown),
    };
    println!("{}", measured.to_text());
    true
}

fn parse(task: &str) -> Option<(&str, Setting)> {
    let [model, engine, threads] = task.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let named = |setting: &Setting| setting.engine.name() == engine;
    let setting = Setting {
        threads: threads.parse().ok()?,
        ..settings().into_iter().find(named)?
    };
    Some((model, setting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_and_its_result_survive_their_way() {
        let (model, setting) = parse("raft/clients stateright-dfs 2").expect("a task");
        assert_eq!(
            (model, setting.name().as_str()),
            ("raft/clients", "stateright-dfs-2")
        );
        assert!(parse("raft/clients unheard-of 2").is_none());
        let measured = Measured {
            unique: 1,
            generated: 2,
            seconds: 0.5,
            bytes: None,
        };
        let text = measured.to_text();
        assert_eq!(Measured::parse(&text).map(Measured::to_text), Some(text));
    }
}
