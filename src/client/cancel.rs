//! Cancelling what a session of PostgreSQL does: a request over a connection of its own, with the
//! key that the server gave to the session when it began.

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_postgres::{Client, NoTls};

use super::{
    Address, Fault, FaultKind,
    postgres::{fault::fault, stream::stream},
    transport,
};
use crate::runtime::Native;

/// Room for the request, which has 16 bytes where the key is as long as most servers make it.
const ROOM: usize = 512;
/// Where the number of the session's process stands in the request: after its length and what it
/// is.
const PROCESS: std::ops::Range<usize> = 8..12;

/// What it takes to cancel what a session does: the whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelKey(Vec<u8>);

impl CancelKey {
    /// That of a session. The client shows it to nobody, but it writes the request to whatever it
    /// is given.
    pub(super) async fn of(client: &Client) -> Result<Self, Fault> {
        let (mut ours, theirs) = duplex(ROOM);
        client.cancel_token().cancel_query_raw(theirs, NoTls).await.map_err(|why| fault(&why))?;
        let mut request = Vec::new();
        ours.read_to_end(&mut request).await?;
        Ok(Self(request))
    }

    /// The process of the server that has the session, as whoever answered at the address says. A
    /// pooler gives its own numbers, for it may give each transaction to another process.
    pub fn process(&self) -> i32 {
        let bytes = self.0.get(PROCESS).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, i32::from_be_bytes)
    }
}

/// Asks the server to cancel what a session does, and waits until it has passed that on. It does
/// not say what came of it.
pub async fn cancel<N: Native>(address: &Address, key: &CancelKey) -> Result<(), Fault> {
    let asking = async {
        let mut asked = TokioIo::new(stream::<N>(address).await?);
        asked.write_all(&key.0).await?;
        asked.flush().await?;
        // A server closes the connection when it has done so; one that resets it has, too.
        let mut rest = Vec::new();
        match asked.read_to_end(&mut rest).await {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => {
                Err(Fault::new(FaultKind::Protocol, "it answers a request that has no answer"))
            }
        }
    };
    transport::within_limit::<N, _>(address, asking).await.map_err(|fault| fault.at(address))
}
