//! Contenders: who races in a scenario. An executor of this program is one, and so is any other
//! program that speaks the protocol.

use crate::{
    protocol::Program,
    runtime::{self, Style},
    scenario::ExecutorSettings,
};

/// Who races.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contender<'a> {
    /// The name in the scenario.
    pub name: &'a str,
    /// Who runs its tasks, as far as that is known.
    pub style: Style,
    /// The program, where it is not this one.
    pub program: Option<&'a Program>,
}

impl<'a> Contender<'a> {
    /// The contender of a scenario that has this name.
    pub(super) fn of(name: &'a str, settings: &'a ExecutorSettings) -> Option<Self> {
        let executor = runtime::executor(name).map(|info| (info.style, None));
        // How another program runs its tasks is its own affair, and so is what it needs for them.
        let (style, program) = executor.or_else(|| {
            let (_, program) = settings.programs.iter().find(|(known, _)| known == name)?;
            Some((Style::Workers, Some(program)))
        })?;
        Some(Self { name, style, program })
    }
}
