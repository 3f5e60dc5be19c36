//! `regatta schema`: the JSON Schema of scenario files.

use super::{CliError, Terminal};
use crate::{exit::Exit, scenario};

pub(super) fn run(terminal: &Terminal) -> Result<Exit, CliError> {
    terminal.result(&format!("{:#}", scenario::json_schema()))?;
    Ok(Exit::Fine)
}
