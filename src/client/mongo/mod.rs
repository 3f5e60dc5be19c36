//! A client of the MongoDB protocol: OP_MSG over any stream, without sessions, retries or discovery
//! of replicas.
//!
//! One connection to one server, one command at a time, each of them one write; its answer is read
//! in one piece where it fits. `message` holds the bytes of OP_MSG, `connection` the greeting and
//! the exchange, `scram` the login, `open` the way from a url to all that, `commands` what is
//! asked, `reply` how an answer is understood, and `error` all that can go wrong.
//!
//! Written from MongoDB's specification of its wire protocol, and proven against two independent
//! implementations: bytes made by pymongo's encoder (`tests`) and the server library MockupDB
//! (`tests/it/mongo.rs`). A longer check runs it against PoloDB (`tests/it/polodb.rs`).

mod commands;
mod connection;
mod error;
mod login;
mod message;
mod open;
mod reply;
mod scram;
#[cfg(test)]
mod tests;

pub use commands::{Collection, Documents, FindCommand, FoundDocuments, UpdateCommand, Updated};
pub use connection::{MongoConnection, MongoLimits};
pub use error::MongoError;
pub use login::Login;
pub use open::MongoSite;
