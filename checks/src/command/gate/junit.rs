//! A gate's result as JUnit XML, which CI systems show.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{GateReport, Part};
use crate::command::Ending;

/// Writes the result to a file.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(report: &GateReport, path: &Path) -> Result<()> {
    let mut suite = TestSuite::new("gate");
    for part in &report.parts {
        let mut case = TestCase::new(part.name.clone(), status(part));
        case.set_time(Duration::from_secs_f64(part.seconds));
        case.set_system_out(part.detail.clone());
        suite.add_test_case(case);
    }
    let mut junit = quick_junit::Report::new("lockstep");
    junit.add_test_suite(suite);
    let xml = junit
        .to_string()
        .context("cannot write the result as JUnit XML")?;
    fs::write(path, xml).with_context(|| format!("cannot write {}", path.display()))
}

/// A failure is a check that said no; an error one that could not say anything. Both are red
/// wherever JUnit's files are shown, and are told apart; what is skipped is green.
fn status(part: &Part) -> TestCaseStatus {
    let (kind, name) = match part.ending {
        Ending::Well => return TestCaseStatus::success(),
        Ending::NotWell => (NonSuccessKind::Failure, "failed"),
        Ending::Incomplete => (NonSuccessKind::Error, "incomplete"),
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(part.detail.clone());
    status.set_type(name);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_short_is_an_error_and_no_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gate.xml");
        let part = |name, ending| Part::new(name, ending, 1.0, "why");
        let parts = vec![
            part("good", Ending::Well),
            part("bad", Ending::NotWell),
            part("slow", Ending::Incomplete),
        ];
        let report = GateReport {
            ok: false,
            ending: Ending::NotWell,
            parts,
        };
        write(&report, &file).expect("it is written");
        let xml = fs::read_to_string(&file).expect("it is there");
        assert!(
            xml.contains(r#"failures="1""#) && xml.contains(r#"errors="1""#),
            "{xml}"
        );
        assert!(
            xml.contains(r#"<failure message="why" type="failed""#),
            "{xml}"
        );
        assert!(
            xml.contains(r#"<error message="why" type="incomplete""#),
            "{xml}"
        );
    }
}
