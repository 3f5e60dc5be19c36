//! Scenario files: from TOML text to a validated [`Scenario`], with every error of a file at once.
//!
//! The `wire` files hold what stands in a file, table by table; `sweep` multiplies it; `check`
//! looks at names, cycles and rules between tables; `place` moves what stands in the wrong one;
//! `read` ties them together. `tree` answers questions about a validated scenario.

mod check;
mod check_handles;
mod check_rows;
mod check_shared;
mod check_tasks;
mod check_values;
mod limit;
mod load;
mod model;
mod overrides;
mod place;
mod quick;
mod read;
mod schema;
mod slo;
mod sweep;
mod tree;
mod wire;
mod wire_data;
mod wire_executors;
mod wire_load;
mod wire_shared;
mod wire_stages;
mod wire_step;
mod wire_value;

pub use limit::limit;
pub use load::{ClientStages, Load, LoadKind};
pub use model::*;
pub use overrides::{MOST_ROUNDS, Overrides};
pub use read::{ScenarioError, from_bytes, from_text, read};
pub use schema::json_schema;
pub use tree::{Reach, fan_out, reach, time_of_task};
pub use wire_stages::MOST_RATE;

// A scenario is made of these, so whoever reads scenarios finds them here too.
pub use crate::{
    load::{Arrival, ClientStage, Overflow, Stage},
    shared::NamedShared,
    step::{NamedRows, OnTimeout, StepPlan, Task},
    targets::NamedTarget,
};
