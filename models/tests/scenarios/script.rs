//! The file format of a scenario.

use std::fmt::{self, Display};

/// A scenario's file, taken apart.
pub(crate) struct Script {
    /// Its blocks, in order.
    pub(crate) blocks: Vec<Block>,
    /// The prose behind the last block.
    epilogue: String,
}

/// Some commands, and what they did.
pub(crate) struct Block {
    prose: String,
    /// The commands.
    pub(crate) commands: Vec<String>,
    /// What they did.
    pub(crate) output: String,
}

impl Script {
    /// Reads a file. Outputs are skipped: whoever runs the script fills them in.
    pub(crate) fn parse(text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut prose = String::new();
        let mut commands: Vec<String> = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            match line {
                "----" => {
                    let _output = lines.by_ref().take_while(|line| !line.is_empty()).count();
                    blocks.push(Block {
                        prose: std::mem::take(&mut prose),
                        commands: std::mem::take(&mut commands),
                        output: String::new(),
                    });
                }
                prosaic if prosaic.is_empty() || prosaic.starts_with('#') => {
                    assert!(commands.is_empty(), "a block without ----: {commands:?}");
                    prose.push_str(prosaic);
                    prose.push('\n');
                }
                command => commands.push(command.to_owned()),
            }
        }
        assert!(commands.is_empty(), "a block without ----: {commands:?}");
        Self {
            blocks,
            epilogue: prose,
        }
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, block) in self.blocks.iter().enumerate() {
            write!(f, "{}", block.prose)?;
            for command in &block.commands {
                writeln!(f, "{command}")?;
            }
            write!(f, "----\n{}", block.output)?;
            if position + 1 < self.blocks.len() || !self.epilogue.is_empty() {
                writeln!(f)?;
            }
        }
        write!(f, "{}", self.epilogue)
    }
}
