//! What came of a mutant, and why one may survive; each in the words of the results' file.

use std::fmt::{self, Display};

use anyhow::{Result, bail};

/// What came of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A property is violated: an invariant, a law, a liveness property, or that nothing panics.
    Property(Refuted),
    /// No property is, but something that must be shown is not.
    Witness(Refuted),
    /// The program that ran it ended without a report: by the system, no memory or no stack being
    /// left, or by a panic where the model's beginning could not be made with it.
    Aborts(String),
    /// A step did not end.
    Hangs(String),
    /// It is no program.
    Unviable,
    /// No property is violated, in this model with other states than the right protocol has; where
    /// they are many more, among the first of them.
    CountOnly(String),
    /// This model could not be walked in the time that there was.
    TimedOut(String),
    /// No model comes to where it would make a difference.
    Unreached,
    /// Every property holds, and no state is another.
    Survives,
}

/// By what a mutant is refuted, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Refuted {
    pub by: String,
    pub model: String,
}

impl Verdict {
    /// Whether the checks tell it from the right protocol by what must hold.
    pub fn is_refuted(&self) -> bool {
        match self {
            Self::Property(_) | Self::Witness(_) | Self::Aborts(_) | Self::Hangs(_) => true,
            Self::Unviable
            | Self::CountOnly(_)
            | Self::TimedOut(_)
            | Self::Unreached
            | Self::Survives => false,
        }
    }

    /// Whether it is a program that the checks do not refute.
    pub fn is_survivor(&self) -> bool {
        !self.is_refuted() && *self != Self::Unviable
    }

    /// The model in which that was seen.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Property(refuted) | Self::Witness(refuted) => Some(&refuted.model),
            Self::Aborts(model)
            | Self::Hangs(model)
            | Self::CountOnly(model)
            | Self::TimedOut(model) => Some(model),
            Self::Unviable | Self::Unreached | Self::Survives => None,
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Property(Refuted { by, model }) => write!(f, "property \"{by}\" in {model}"),
            Self::Witness(Refuted { by, model }) => write!(f, "witness \"{by}\" in {model}"),
            Self::Aborts(model) => write!(f, "aborts in {model}"),
            Self::Hangs(model) => write!(f, "hangs in {model}"),
            Self::Unviable => f.write_str("unviable"),
            Self::CountOnly(model) => write!(f, "count only in {model}"),
            Self::TimedOut(model) => write!(f, "timed out in {model}"),
            Self::Unreached => f.write_str("unreached"),
            Self::Survives => f.write_str("survives"),
        }
    }
}

/// Reads a verdict.
///
/// # Errors
/// If it is none.
pub(super) fn verdict(text: &str) -> Result<Verdict> {
    let refuted = |text: &str| {
        let (by, model) = text.strip_prefix('"')?.rsplit_once("\" in ")?;
        Some(Refuted {
            by: by.to_owned(),
            model: model.to_owned(),
        })
    };
    let verdict = match text.split_once(' ').unwrap_or((text, "")) {
        ("property", rest) => refuted(rest).map(Verdict::Property),
        ("witness", rest) => refuted(rest).map(Verdict::Witness),
        ("aborts", rest) => of(rest, "in ").map(Verdict::Aborts),
        ("hangs", rest) => of(rest, "in ").map(Verdict::Hangs),
        ("count", rest) => of(rest, "only in ").map(Verdict::CountOnly),
        ("timed", rest) => of(rest, "out in ").map(Verdict::TimedOut),
        ("unviable", "") => Some(Verdict::Unviable),
        ("unreached", "") => Some(Verdict::Unreached),
        ("survives", "") => Some(Verdict::Survives),
        _ => None,
    };
    match verdict {
        Some(verdict) => Ok(verdict),
        None => bail!("\"{text}\" is no verdict"),
    }
}

fn of(rest: &str, before: &str) -> Option<String> {
    let model = rest.strip_prefix(before)?;
    (!model.is_empty()).then(|| model.to_owned())
}

/// Why a mutant may survive. Written by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// In a word.
    pub kind: Kind,
    /// The argument.
    pub text: String,
}

/// Why a mutant may survive, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It does the same as the right protocol, in whatever can be observed.
    Equivalent,
    /// It changes what people read, and nothing else.
    Label,
    /// It changes what hosts are told or ask, which no model does.
    HostOnly,
    /// It is wrong, and nothing refutes it yet.
    Open,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Equivalent, Self::Label, Self::HostOnly, Self::Open];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::Label => "label",
            Self::HostOnly => "host only",
            Self::Open => "open",
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.text)
    }
}

/// Reads a reason.
///
/// # Errors
/// If it is of no kind, or says nothing.
pub(super) fn reason(text: &str) -> Result<Reason> {
    let (name, text) = text.split_once(": ").unwrap_or((text, ""));
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    match kind {
        Some(kind) if !text.trim().is_empty() => Ok(Reason {
            kind,
            text: text.to_owned(),
        }),
        Some(_) => bail!("\"{name}\" is no reason without an argument"),
        None => {
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            bail!("\"{name}\" is no reason: they begin with one of {kinds}, and a colon")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_and_reasons_are_read_as_they_are_written() {
        let model = || "bully/crashes".to_owned();
        let refuted = || Refuted {
            by: "Nobody says \"I\" in vain".to_owned(),
            model: model(),
        };
        for written in [
            Verdict::Property(refuted()),
            Verdict::Witness(refuted()),
            Verdict::Aborts(model()),
            Verdict::Hangs(model()),
            Verdict::Unviable,
            Verdict::CountOnly(model()),
            Verdict::TimedOut(model()),
            Verdict::Unreached,
            Verdict::Survives,
        ] {
            assert_eq!(verdict(&written.to_string()).expect("a verdict"), written);
        }
        for kind in Kind::ALL {
            let text = "as said: both are asked".to_owned();
            let written = Reason { kind, text };
            assert_eq!(reason(&written.to_string()).expect("a reason"), written);
        }
        for nonsense in ["", "survived", "property in bully/crashes", "hangs in "] {
            assert!(verdict(nonsense).is_err(), "{nonsense}");
        }
        for nonsense in ["", "equivalent", "equivalent: ", "odd: it is"] {
            assert!(reason(nonsense).is_err(), "{nonsense}");
        }
    }
}
