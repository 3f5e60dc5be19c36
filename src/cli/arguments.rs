//! The command line as it is parsed: all subcommands, and the flags of each.

use clap::{Parser, Subcommand};

use super::{
    check, compare, completions, conformance, doctor, examples, find_rate, init, list, race,
    report, run, schema, selftest, terminal::Global, trial,
};

/// Races threads, pools, tokio, async-std, smol and compio on the same workload, proves that it was the
/// same work, and says by how much they differ.
#[derive(Debug, Parser)]
#[command(name = "regatta", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Measure scenarios: store the run, print the table, write the report.
    #[command(after_help = examples::RUN)]
    Run(run::RunFlags),
    /// Find the highest rate at which an open load's limits hold.
    #[command(after_help = examples::FIND_RATE)]
    FindRate(find_rate::FindRate),
    /// Show what a run would measure, and for how long; runs nothing.
    #[command(after_help = examples::LIST)]
    List(list::List),
    /// Check scenario files; runs nothing.
    #[command(after_help = examples::CHECK)]
    Check(check::CheckFlags),
    /// Say whether this host is fit for measuring, and what helps.
    #[command(after_help = examples::DOCTOR)]
    Doctor(doctor::Doctor),
    /// Compare two runs, cell by cell.
    #[command(after_help = examples::COMPARE)]
    Compare(compare::Compare),
    /// Show a stored run again, as a page, tables, JSON or CSV.
    #[command(after_help = examples::REPORT)]
    Report(report::Report),
    /// Test the harness on this machine, in a few minutes.
    #[command(after_help = examples::SELFTEST)]
    Selftest(selftest::SelftestFlags),
    /// Write a first scenario against your own server, with comments.
    #[command(after_help = examples::INIT)]
    Init(init::Init),
    /// Print the JSON Schema of scenario files, for editors, or that of the JSON outputs.
    #[command(after_help = examples::SCHEMA)]
    Schema(schema::Schema),
    /// Print shell completions.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Completions),
    /// Say whether a program races as PROTOCOL.md says.
    #[command(after_help = examples::CONFORMANCE)]
    Conformance(conformance::ConformanceFlags),
    /// Race as a racer of another Regatta, which says what is to be done.
    #[command(hide = true)]
    Race(race::RaceFlags),
    /// Run one trial by hand, from a plan that `run -v` has written.
    #[command(after_help = examples::TRIAL)]
    Trial(trial::TrialFlags),
    /// The process of an embedded target; started by a trial.
    #[command(hide = true)]
    Target,
    /// A process that steps of a trial compute in; started by that.
    #[command(hide = true)]
    Worker,
}
