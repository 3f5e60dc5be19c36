//! `regatta schema`: the JSON Schemas of what is read and of what is printed.

use super::{CliError, Terminal};
use crate::{exit::Exit, protocol, report::OUTPUT_SCHEMA, scenario};

/// Prints a schema.
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    /// The schema of what is printed with `--format json`, instead of that of scenario files.
    #[arg(long)]
    output: bool,
    /// The schema of what racers and their referee say to each other (PROTOCOL.md).
    #[arg(long, conflicts_with = "output")]
    protocol: bool,
}

impl Schema {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let scenarios = || format!("{:#}", scenario::json_schema());
        let text = match (self.output, self.protocol) {
            (true, _) => OUTPUT_SCHEMA.trim_end().to_owned(),
            (_, true) => protocol::SCHEMA.trim_end().to_owned(),
            _ => scenarios(),
        };
        terminal.result(&text)?;
        Ok(Exit::Fine)
    }
}
