//! What a scenario says of an SQL database.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{client::Reference, targets::PoolSpec, units::Distribution};

/// An SQL database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SqlTarget {
    /// Rows of the table `items`, with ids from 1.
    pub rows: u64,
    /// A simulated round trip before each statement.
    pub delay: Distribution,
    /// A server of the user's own; none: the embedded database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Reference>,
    /// The schema that is made in that server.
    #[serde(default = "usual_schema", skip_serializing_if = "is_usual_schema")]
    pub schema: String,
    /// How many connections to that server the tasks share; none: as each step says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolSpec>,
}

/// The schema where the scenario names none.
fn usual_schema() -> String {
    "regatta_bench".into()
}

fn is_usual_schema(schema: &str) -> bool {
    schema == usual_schema()
}

/// Ten thousand items and no round trip.
impl Default for SqlTarget {
    fn default() -> Self {
        Self {
            rows: 10_000,
            delay: Distribution::Const(Duration::ZERO),
            url: None,
            schema: usual_schema(),
            pool: None,
        }
    }
}

impl SqlTarget {
    /// Whether it is a server, which is reached over a connection.
    pub fn is_server(&self) -> bool {
        self.url.is_some()
    }
}
