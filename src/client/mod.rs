//! Clients of database servers, and the encryption of HTTP, over the executor's own streams, so that
//! no hidden runtime helps anybody.
//!
//! Everything here is generic over [`Native`](crate::runtime::Native). Steps use the clients on the
//! measured path, over the streams of the executor under test; targets use the same clients over
//! blocking streams, to create, fill, count and drop what a trial works on. A client knows neither
//! scenarios nor steps: it opens a connection to an [`Address`], sends statements, and says what
//! went wrong as a [`Fault`] with a name.

mod address;
mod authorities;
mod buffered;
mod cancel;
mod fault;
mod http2;
mod https;
pub mod mongo;
pub mod mysql;
mod offer;
mod pair;
mod pool;
pub mod postgres;
mod reach;
#[cfg(test)]
mod testing;
mod tls;
mod transport;
mod turns;
pub mod wire;

pub use address::{Address, CONNECT_LIMIT, Reference, Scheme, TlsMode};
pub use buffered::Buffered;
pub use cancel::{CancelKey, cancel};
pub use fault::{Fault, FaultKind, causes};
pub use http2::{Goodbye, SeenFrames, SeenStream};
pub use https::{Https, Trust, is_other_version, meaning};
pub use offer::settled;
pub use pair::Pair;
pub use pool::{Lease, Pool};
pub use reach::{Tried, cannot_open, unopened, unresolved};
pub use transport::{Transport, connect, within_limit};
