//! A copy of `models` and `checks` with all mutants in it, built where nothing of the user's is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::find::Function;
use super::read;
use super::rewrite::{Number, Rewritten, rewrite};

/// The environment variable with the number of the mutant that the program is to be.
pub(super) const MUTANT: &str = "CHECKS_MUTANT";

/// The environment variable with the file into which the program writes the numbers of the mutants
/// that made a difference, or could have.
pub(super) const REACHED: &str = "CHECKS_REACHED";

/// What the program is called, so as not to be taken for the right one.
const PROGRAM: &str = "mutated-checks";

/// What the engine asserts of itself it asserts wherever the right protocols are checked; that
/// numbers do not overflow is a property.
const PROFILE: &str = "
[profile.dev.package.checks]
debug-assertions = false
overflow-checks = true
";

/// What decides which mutant is at work.
const SWITCH: &str = include_str!("switch.rs.txt");

/// A program that is any of the mutants.
pub struct Copy {
    /// Where it is.
    pub program: PathBuf,
    /// Those that the compiler refuses.
    pub unviable: BTreeSet<Number>,
}

/// Copies the workspace at `workspace` into `target`, with the functions' mutants in it, numbered
/// from 1 on, and builds it. Of those that are `unviable` it is known already.
///
/// # Errors
/// If files cannot be read or written, or what is left does not build.
pub fn build(
    workspace: &Path,
    target: &Path,
    functions: &[&Function],
    unviable: BTreeSet<Number>,
    say: &dyn Fn(&str),
) -> Result<Copy> {
    let root = target.join("generated");
    let mut mutated = Mutated {
        workspace,
        root: &root,
        functions,
        unviable,
    };
    mutated.copy_the_rest()?;
    loop {
        let files = mutated.write()?;
        let arguments = ["check", "-p", "models", "--lib"];
        let refused = mutated.refused(&cargo(&root, target, &arguments)?, &files)?;
        if refused.is_empty() {
            break;
        }
        say(&format!("{} are refused by the compiler\n", refused.len()));
        mutated.unviable.extend(refused);
    }
    let arguments = ["build", "-p", "checks", "--bin", PROGRAM];
    let output = cargo(&root, target, &arguments)?;
    let artifact = output.artifacts.iter().next_back();
    match artifact.filter(|_| output.is_well) {
        Some(program) => Ok(Copy {
            program: program.clone(),
            unviable: mutated.unviable,
        }),
        None => bail!("the copy does not build:\n{}", output.errors_in_words()),
    }
}

struct Mutated<'a> {
    workspace: &'a Path,
    root: &'a Path,
    functions: &'a [&'a Function],
    unviable: BTreeSet<Number>,
}

impl Mutated<'_> {
    /// Copies what has no mutants in it.
    fn copy_the_rest(&self) -> Result<()> {
        let (from, to) = (self.workspace, self.root);
        let files = self.functions.iter();
        let mut own: BTreeSet<PathBuf> = files
            .map(|function| to.join("models/src").join(&function.file))
            .collect();
        own.extend(
            [
                "models/src/lib.rs",
                "models/src/mutation.rs",
                "checks/src/main.rs",
            ]
            .map(|file| to.join(file)),
        );
        for folder in ["models/src", "models/tests", "checks/src", "checks/tests"] {
            copy_folder(&from.join(folder), &to.join(folder), &own)?;
        }
        let manifest = read(&from.join("Cargo.toml"))?;
        let is_members = |line: &&str| line.starts_with("members = ");
        let members = manifest.lines().find(is_members).context("no members")?;
        let manifest = manifest.replace(members, "members = [\"models\", \"checks\"]");
        let manifest = format!("{manifest}{PROFILE}");
        write_if_new(&to.join("Cargo.toml"), &manifest)?;
        // Cargo takes out of it what only the others need.
        let lock = read(&from.join("Cargo.lock"))?;
        write_if_new(&to.join("Cargo.lock"), &lock)?;
        for package in ["models", "checks"] {
            let file = format!("{package}/Cargo.toml");
            let manifest = manifest_of_mutants(&read(&from.join(&file))?);
            write_if_new(&to.join(&file), &manifest)?;
        }
        let library = read(&from.join("models/src/lib.rs"))?;
        let library = format!("{library}\n#[allow(missing_docs)]\npub mod mutation;\n");
        write_if_new(&to.join("models/src/lib.rs"), &library)?;
        let main = read(&from.join("checks/src/main.rs"))?;
        let main = main.replace("fn main() -> ExitCode {", "fn right_main() -> ExitCode {");
        let main = format!("{main}\n{}", main_of_mutants());
        write_if_new(&to.join("checks/src/main.rs"), &main)
    }

    /// Writes the step files with the mutants in them that are not refused.
    fn write(&self) -> Result<BTreeMap<String, Rewritten>> {
        let mut by_file: BTreeMap<&str, Vec<(Number, &Function)>> = BTreeMap::new();
        let mut next = 1;
        for function in self.functions {
            let of_file = by_file.entry(&function.file).or_default();
            of_file.push((next, function));
            next += function.mutants.len();
        }
        let mut files = BTreeMap::new();
        for (file, functions) in by_file {
            let path = format!("models/src/{file}");
            let source = read(&self.workspace.join(&path))?;
            let rewritten = rewrite(&source, &functions, &self.unviable);
            write_if_new(&self.root.join(&path), &rewritten.text)?;
            files.insert(path, rewritten);
        }
        let switch = format!("{SWITCH}\nconst COUNT: usize = {next};\n");
        write_if_new(&self.root.join("models/src/mutation.rs"), &switch)?;
        Ok(files)
    }

    /// The mutants that the compiler's errors are about.
    fn refused(
        &self,
        output: &Output,
        files: &BTreeMap<String, Rewritten>,
    ) -> Result<BTreeSet<Number>> {
        let mut refused = BTreeSet::new();
        for error in &output.errors {
            refused.extend(error.about(files));
        }
        let is_stuck = refused.is_empty() && !output.is_well;
        ensure!(
            !is_stuck,
            "the copy does not build, and no mutant is to blame:\n{}",
            output.errors_in_words()
        );
        Ok(refused)
    }
}

/// What cargo has said.
struct Output {
    is_well: bool,
    errors: Vec<Complaint>,
    artifacts: Vec<PathBuf>,
}

impl Output {
    fn errors_in_words(&self) -> String {
        let words = self.errors.iter().map(|error| error.rendered.as_str());
        words.collect::<Vec<_>>().join("\n")
    }
}

/// A line of cargo's output; of many kinds, so nothing of it need be there.
#[derive(Deserialize)]
struct Line {
    message: Option<Complaint>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Complaint {
    level: String,
    #[serde(default)]
    rendered: String,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

impl Complaint {
    /// The mutants in whose branch it points: those to which it points first, if there are any.
    /// What it has against the branch of the right protocol comes of the branch beside it.
    fn about(&self, files: &BTreeMap<String, Rewritten>) -> BTreeSet<Number> {
        let within = |span: &Span| -> Vec<Number> {
            let file = files.get(&span.file_name);
            let branches = file.map_or(&[][..], |file| file.branches.as_slice());
            let is_around = |(place, _): &&(std::ops::Range<usize>, Number)| {
                place.start <= span.byte_start && span.byte_end <= place.end
            };
            let branches = branches.iter().filter(is_around);
            branches.map(|(_, number)| *number).collect()
        };
        let about = |is_primary: bool| -> BTreeSet<Number> {
            let spans = self.spans.iter();
            let spans = spans.filter(|span| span.is_primary == is_primary);
            spans.flat_map(within).collect()
        };
        let first = about(true);
        match first.is_empty() {
            true => about(false),
            false => first,
        }
    }
}

/// Runs cargo on the copy. It shares the target folder, and so the dependencies that are built.
fn cargo(root: &Path, target: &Path, arguments: &[&str]) -> Result<Output> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(program)
        .args(arguments)
        .args(["--message-format", "json", "--target-dir"])
        .arg(target)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (mut errors, mut artifacts) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            continue;
        };
        artifacts.extend(line.executable);
        errors.extend(line.message.filter(|message| message.level == "error"));
    }
    Ok(Output {
        is_well: output.status.success(),
        errors,
        artifacts,
    })
}

/// A package's manifest: a mutant may be written as nobody would write it.
fn manifest_of_mutants(manifest: &str) -> String {
    let lints = "[lints.rust]\nwarnings = \"allow\"\narithmetic_overflow = \"allow\"\n\
                 unconditional_panic = \"allow\"";
    let named = |before: &str, name: &str| format!("{before} = \"{name}\"");
    let manifest = manifest.replace("[lints]\nworkspace = true", lints);
    let manifest = manifest.replace(
        &named("[[bin]]\nname", "checks"),
        &named("[[bin]]\nname", PROGRAM),
    );
    manifest.replace(
        &named("default-run", "checks"),
        &named("default-run", PROGRAM),
    )
}

/// The program's beginning and end, around those that it has already.
fn main_of_mutants() -> String {
    format!(
        r#"
fn main() -> ExitCode {{
    let number = std::env::var("{MUTANT}").ok();
    if let Some(number) = number.and_then(|number| number.parse().ok()) {{
        models::mutation::choose(number);
    }}
    let code = right_main();
    if let Some(file) = std::env::var_os("{REACHED}") {{
        let numbers: Vec<String> = models::mutation::reached().map(|number| number.to_string()).collect();
        std::fs::write(file, numbers.join("\n")).expect("a writable file");
    }}
    code
}}
"#
    )
}

/// Copies a folder, but for the files that the copy has of its `own`; what is gone goes.
fn copy_folder(from: &Path, to: &Path, own: &BTreeSet<PathBuf>) -> Result<()> {
    let context = || format!("cannot copy {}", from.display());
    fs::create_dir_all(to).with_context(context)?;
    let mut kept = own.clone();
    for entry in fs::read_dir(from).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let there = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &there, own)?;
        } else if !own.contains(&there) {
            write_bytes_if_new(&there, &fs::read(&path).with_context(context)?)?;
        }
        kept.insert(there);
    }
    for entry in fs::read_dir(to).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if !kept.contains(&path) {
            match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            }
            .with_context(context)?;
        }
    }
    Ok(())
}

fn write_if_new(path: &Path, text: &str) -> Result<()> {
    write_bytes_if_new(path, text.as_bytes())
}

/// Writes a file if it is not there as it should be: cargo builds anew what is newer.
fn write_bytes_if_new(path: &Path, bytes: &[u8]) -> Result<()> {
    match fs::read(path) {
        Ok(there) if there == bytes => return Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
        _ => {}
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
