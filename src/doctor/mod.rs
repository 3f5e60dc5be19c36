//! Whether this host is fit for measuring: a table of checks, each with what it reads and how it
//! judges.
//!
//! Reading ([`host`]) is apart from judging: a judgement is a pure function of the texts that were
//! read and of what the plan needs, so that each is tested with recorded texts. `record` is what a
//! run notes of host and build.

mod checks;
mod cpus;
pub mod host;
mod judge;
mod kernel;
pub mod lock;
mod need;
mod power;
mod record;
mod room;

pub use checks::{CHECKS, Check, examine, is_fit, look, warnings};
pub use host::Host;
pub use judge::Judged;
pub use lock::{LockError, RunLock};
pub use need::Need;
pub use record::describe;
