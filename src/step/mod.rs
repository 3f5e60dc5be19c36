//! Steps: what tasks are made of. One file per operation or combinator, plus its two lines here.
//!
//! A step's file holds its TOML parameters, its validation, its code and its proof. To add one: write the file
//! after the pattern of `noop.rs`, declare it with `mod`, and name it in the table below.

mod blocking;
mod choice;
mod cpu;
mod document;
mod exec;
mod file;
mod http;
mod limited;
mod noop;
mod parallel;
mod recorded;
mod repeat;
mod sequence;
mod site;
mod sleep;
mod spec;
mod sql;
mod task;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod yield_now;

pub use blocking::Blocking;
#[cfg(test)]
pub(crate) use exec::Repeated;
pub use exec::{Call, Done, Failure, Opening, Operation, Outcome, Step, Tally, TallyCell};
pub use recorded::ending;
pub use sequence::Sequence;
pub use site::{BuildError, Commons, Ledger, Site, Trial};
pub use spec::{Calibration, Child, Cost, Lookup, StepKind, TargetUse, Times};
pub use task::{OnTimeout, StepPlan, Task};
pub use template::Template;

spec::steps! {
    Http => http::Http,
    Sleep => sleep::Sleep,
    Cpu => cpu::Cpu,
    File => file::File,
    Noop => noop::Noop,
    Parallel => parallel::Parallel,
    Repeat => repeat::Repeat,
    Choice => choice::Choice,
    Sql => sql::Sql,
    Document => document::Document,
    Yield => yield_now::Yield,
}
