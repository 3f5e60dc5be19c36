//! Steps: what tasks are made of. One file per operation or combinator, plus its two lines here.
//!
//! A step's file holds its TOML parameters, its validation, its code and its proof. To add one:
//! write the file after the pattern of `noop.rs`, declare it with `mod`, and name it in the table
//! below.

mod acquire;
mod arrive;
mod asked_wait;
mod await_one;
mod background;
mod blocking;
mod budget;
mod build;
mod cancel;
mod child;
mod choice;
mod clear;
mod cpu;
mod document;
mod exec;
mod file;
mod holding;
mod http;
mod join;
mod ledger;
mod life;
mod limited;
mod lock;
mod noop;
mod outcome;
mod parallel;
mod pool_waits;
mod put;
mod read;
mod recorded;
mod repeat;
mod retry;
mod rows;
mod sequence;
mod set;
mod site;
mod sleep;
mod spawn;
mod spec;
mod sql;
mod supply;
mod take;
mod task;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod throttle;
mod value;
mod wait;
mod websocket;
mod write;
mod yield_now;

pub use blocking::{BlockingChoice, Workplace};
pub use child::ChildEnd;
pub use cpu::{WorkAccount, Workforce, serve_commissions};
#[cfg(test)]
pub(crate) use exec::Repeated;
pub use exec::{Call, Opening, Operation, Step};
pub use ledger::{Ledger, Reading, Tally, TaskRuns, ValueTally};
pub use outcome::{Done, Failure, Mishaps, StepEnd, StepOutcome};
pub use recorded::ending;
pub use rows::{NamedRows, Pick, RowTables};
pub use sequence::Sequence;
pub use site::{BuildError, Commons, PlannedStep, PlannedTasks, Site, Trial};
pub use spec::{
    Calibration, Child, Cost, Ends, HandleTouch, HandleUse, Lookup, Meeting, PoolBeside, SharedUse,
    StepKind, TargetUse, Times, Touch,
};
pub use task::{OnTimeout, StepPlan, Task};
pub use template::Template;

spec::steps! {
    Http => http::Http,
    Sleep => sleep::Sleep,
    Cpu => cpu::Cpu,
    File => file::FileAction,
    Noop => noop::Noop,
    Parallel => parallel::Parallel,
    Repeat => repeat::Repeat,
    Choice => choice::Choice,
    Retry => retry::Retry,
    Spawn => spawn::Spawn,
    Join => join::Join,
    Cancel => cancel::Cancel,
    Sql => sql::Sql,
    Document => document::Document,
    Websocket => websocket::WebSocketStep,
    Yield => yield_now::Yield,
    Put => put::Put,
    Take => take::Take,
    Lock => lock::Lock,
    Acquire => acquire::Acquire,
    Read => read::Read,
    Write => write::Write,
    Arrive => arrive::Arrive,
    Wait => wait::Wait,
    Set => set::SetEvent,
    Clear => clear::ClearEvent,
    Supply => supply::Supply,
    Await => await_one::Await,
    Throttle => throttle::Throttle,
}
