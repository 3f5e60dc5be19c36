//! `regatta doctor`: whether this host is fit for measuring, and the remedies.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use super::{
    CliError, Terminal,
    input::{Selection, Who, cpus},
};
use crate::{
    doctor::{self, Need},
    exit::Exit,
    store::{Fitness, HostCheck},
};

/// How long the host's counters are watched.
const LOOK: Duration = Duration::from_secs(1);

/// The version of the JSON output.
const VERSION: u32 = 1;

/// Checks this host.
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// Scenario files, folders of them, or `-` for standard input, whose needs are held against the
    /// limits of this host. Default: none.
    #[arg(value_name = "SCENARIO|DIR")]
    paths: Vec<PathBuf>,
    /// CPUs as for `run`: `--cpus executor=0,1 --cpus target=2`. Default: as for `run`.
    #[arg(long, value_name = "WHO=CPUS", num_args = 1, value_parser = cpus)]
    cpus: Vec<(Who, Vec<usize>)>,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json"])]
    format: String,
}

impl Doctor {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let need = self.need(terminal)?;
        let checks = doctor::examine(&doctor::look(LOOK), &need);
        let record = doctor::describe();
        let text = if self.format == "json" {
            json(&checks, &record)
        } else {
            table(&checks, &record, terminal.color)
        };
        terminal.result(&text)?;
        Ok(if doctor::is_fit(&checks) { Exit::Fine } else { Exit::Unfit })
    }

    fn need(&self, terminal: &Terminal) -> Result<Need, CliError> {
        if self.paths.is_empty() {
            return Ok(Need::default());
        }
        let selection = Selection {
            paths: self.paths.clone(),
            cpus: self.cpus.clone(),
            ..Selection::default()
        };
        let scenarios = selection.scenarios(terminal)?;
        let (mut plan, _) = selection.plan(&scenarios)?;
        plan.refuse_unready(&scenarios);
        Ok(Need::of(&plan))
    }
}

/// Symbol, word and colour (SGR) of a judgement.
fn mark(fitness: Fitness) -> (&'static str, &'static str) {
    match fitness {
        Fitness::Fine => ("✓ fine", "32"),
        Fitness::Unknown => ("? unknown", "2"),
        Fitness::Warn => ("! warning", "33;1"),
        Fitness::Refuse => ("✗ refused", "31;1"),
    }
}

fn table(checks: &[HostCheck], record: &[(String, String)], color: bool) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for HostCheck { name, fitness, value, remedy } in checks {
        let (word, code) = mark(*fitness);
        let word = format!("{word:9}");
        let word = if color { format!("\x1b[{code}m{word}\x1b[0m") } else { word };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{word}  {name:width$}  {value}");
        if !remedy.is_empty() {
            let _ = writeln!(text, "{:9}  {:width$}  → {remedy}", "", "");
        }
    }
    let width = record.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let _ = writeln!(text, "\nrecorded with each run:");
    for (label, value) in record {
        let _ = writeln!(text, "  {label:width$}  {value}");
    }
    let count = |wanted| checks.iter().filter(|check| check.fitness == wanted).count();
    let (refused, warned) = (count(Fitness::Refuse), count(Fitness::Warn));
    let verdict = match (refused, warned) {
        (0, 0) => "fit for measuring",
        (0, _) => "fit for measuring, except for what is warned of: `regatta run` goes on",
        _ => "not fit for measuring: `regatta run` refuses, too",
    };
    let _ = write!(text, "\n{verdict} ({refused} refused, {warned} to be warned of)");
    text
}

fn json(checks: &[HostCheck], record: &[(String, String)]) -> String {
    let value = serde_json::json!({
        "regatta_doctor": VERSION,
        "fit": doctor::is_fit(checks),
        "checks": checks,
        "record": record,
    });
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_symbol_a_word_and_its_remedy() {
        let check = |name: &str, fitness, remedy: &str| HostCheck {
            name: name.into(),
            fitness,
            value: "seen".into(),
            remedy: remedy.into(),
        };
        let checks = [check("swap", Fitness::Fine, ""), check("steal", Fitness::Refuse, "move")];
        let text = table(&checks, &[("kernel".into(), "6".into())], false);
        let expected = "✓ fine     swap   seen\n✗ refused  steal  seen\n                  → move\n\nrecorded with each \
                        run:\n  kernel  6\n\nnot fit for measuring: `regatta run` \
                        refuses, too (1 refused, 0 to be warned of)";
        assert_eq!(text, expected);
        assert!(table(&checks, &[], true).contains("\x1b[31;1m✗ refused\x1b[0m"));
        let value: serde_json::Value = serde_json::from_str(&json(&checks, &[])).unwrap();
        assert_eq!(
            (&value["fit"], &value["checks"][1]["fitness"]),
            (&false.into(), &"refuse".into())
        );
    }
}
