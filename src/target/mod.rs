//! Targets: what operations act on. One file (or folder) per kind, plus its two lines here.
//!
//! A target is described in the scenario, started before the trial that needs it, asked for its own counts
//! afterwards, and stopped with the trial.

mod connections;
pub mod directory;
pub mod document;
pub mod http;
mod own_server;
mod spec;
pub mod sql;

pub use connections::{Connections, Opened, REPEATED};
pub use spec::{Endpoint, Launcher, NamedTarget, Server, Start, Started, TargetError, TargetKind, pool_stream};

spec::targets! {
    Http => http::Http,
    Directory => directory::Directory,
    Sql => sql::Sql,
    Document => document::Document,
}
