//! HTTP targets: the embedded server, or a server of the user's own.

mod endpoint;

pub use endpoint::Endpoint;
use serde::{Deserialize, Serialize};

use super::{Start, Started, TargetError, TargetKind};
use crate::{config::Fields, units::Distribution};

/// An HTTP server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Http {
    /// The user's own server; none: the embedded one is started.
    pub url: Option<String>,
    /// How long the embedded server waits before it answers.
    pub delay: Distribution,
    /// Length of the body that the embedded server answers with, in bytes.
    pub body: u64,
    /// Statuses that the embedded server answers with, and their weights; empty: always 200.
    pub status: Vec<StatusWeight>,
}

/// A status and how often it is answered, relative to the others.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StatusWeight {
    /// The status code.
    pub status: u16,
    /// Its weight.
    pub weight: f64,
}

impl TargetKind for Http {
    const KEY: &'static str = "http";
    const DOC: &'static str = "An HTTP server: the embedded one, or your own by its url.";

    fn read(_fields: &mut Fields<'_>) -> Option<Self> {
        todo!("http target helper")
    }

    fn has_process(&self) -> bool {
        self.url.is_none()
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
        endpoint::start(self, start)
    }
}
