//! Targets: what operations act on. One file (or folder) per kind, plus its two lines here.
//!
//! A target is described in the scenario, started before the trial that needs it, asked for its own
//! counts afterwards, and stopped with the trial.

mod connections;
pub mod directory;
pub mod document;
pub mod http;
mod own_server;
mod pool;
mod spec;
pub mod sql;
pub mod websocket;

use serde::{Deserialize, Serialize};

pub use connections::{Connections, Opened, REPEATED};
pub use pool::PoolSpec;
pub use spec::{
    Endpoint, Launcher, ServerProcess, Start, Started, TargetError, TargetKind, pool_stream,
};

spec::targets! {
    Http => http::HttpTarget,
    Directory => directory::Directory,
    Sql => sql::SqlTarget,
    Document => document::DocumentTarget,
    Websocket => websocket::WebSocketTarget,
}

/// A target and its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedTarget {
    /// The name by which steps refer to it.
    pub name: String,
    /// What it is.
    pub spec: TargetSpec,
}
