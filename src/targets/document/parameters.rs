//! What a scenario says of a collection.

use serde::{Deserialize, Serialize};

use crate::client::{Reference, Scheme, mongo::MongoSite};

/// A collection in a server of the user's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DocumentTarget {
    /// Where the server is.
    pub url: Reference,
    /// Documents with which the collection begins.
    pub documents: u64,
    /// The collection that is made and dropped.
    pub collection: String,
}

impl DocumentTarget {
    /// The server, if its url is one.
    pub(super) fn site(&self) -> Result<MongoSite, String> {
        self.url.resolve(&[Scheme::Mongo]).and_then(MongoSite::new)
    }
}
