//! A client of MySQL and MariaDB over any stream: no runtime, no threads, no lock.
//!
//! A connection begins with [`MysqlOpening`]: the server speaks first. It becomes a [`MysqlClient`]
//! by logging in, after TLS if that is wanted. Statements go as text ([`MysqlClient::query`]) or
//! prepared ([`MysqlClient::prepare`], [`MysqlClient::execute`]). Packets, scrambles and constants
//! are those of the `mysql_common` crate. What comes in rows is shown to the caller value by value
//! where it lies in the buffer, and copied nowhere.
//!
//! What is *absent*: compression, LOCAL INFILE (the client does not offer it, so that no server can
//! ask for a file), cursors, and passwords encrypted with a server's RSA key, which nothing vouches
//! for: TLS does that better.

mod client;
mod error;
mod login;
mod open;
mod packet;
mod resultset;
#[cfg(test)]
mod tests;
mod value;

pub use client::{MysqlClient, PreparedStatement};
pub use error::MysqlError;
pub use login::{BeforeTls, Credentials, MysqlOpening};
pub use open::{Mysql, OPTIONS, open};
pub use resultset::Summary;
pub use value::{ColumnValue, MysqlParam};
