//! What a search may leave out because it is proved to make no difference to any verdict.

use std::str::FromStr;

/// The reductions that are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reductions {
    /// Messages that are inert are dropped at once: see
    /// [`Specification::is_inert`](models::Specification::is_inert).
    pub inert: bool,
    /// Of two steps that commute one order is taken. As many states, fewer steps. The native
    /// engine's alone.
    pub commuting: bool,
    /// Of worlds that are the same but for the names of nodes and clients that are alike, one is
    /// looked at: see [`Scenario::alike`](models::world::Scenario::alike) and
    /// [`alike_clients`](models::world::Scenario::alike_clients). Commuting steps are then all
    /// taken. The native engine's alone.
    pub symmetry: bool,
}

impl Reductions {
    /// All that there are.
    pub const ALL: Self = Self {
        inert: true,
        commuting: true,
        symmetry: true,
    };

    /// Those that leave a model as many states as its row says: it is told by their number if it
    /// has changed.
    pub const STANDARD: Self = Self {
        symmetry: false,
        ..Self::ALL
    };

    /// None.
    pub const NONE: Self = Self {
        inert: false,
        commuting: false,
        symmetry: false,
    };

    /// Their names, as on the command line.
    pub fn names(self) -> Vec<&'static str> {
        let rows = [
            (self.inert, "inert"),
            (self.commuting, "commuting"),
            (self.symmetry, "symmetry"),
        ];
        let on = rows.into_iter().filter(|(is_on, _)| *is_on);
        on.map(|(_, name)| name).collect()
    }
}

impl FromStr for Reductions {
    type Err = String;

    /// Reads `all`, `none`, or names with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut reductions = match text {
            "all" => return Ok(Self::ALL),
            "none" => return Ok(Self::NONE),
            _ => Self::NONE,
        };
        for name in text.split(',') {
            match name {
                "inert" => reductions.inert = true,
                "commuting" => reductions.commuting = true,
                "symmetry" => reductions.symmetry = true,
                _ => {
                    let names = Self::ALL.names().join(", ");
                    return Err(format!(
                        "there is no reduction \"{name}\"; there are: {names}; or all, or none"
                    ));
                }
            }
        }
        Ok(reductions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for reductions in [
            Reductions::ALL,
            Reductions::STANDARD,
            "inert".parse().expect("a reduction"),
        ] {
            assert_eq!(reductions.names().join(",").parse(), Ok(reductions));
        }
        assert_eq!("none".parse(), Ok(Reductions::NONE));
        assert_eq!("all".parse(), Ok(Reductions::ALL));
        assert!("inert,luck".parse::<Reductions>().is_err());
    }
}
