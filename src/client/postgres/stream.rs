//! The stream to a PostgreSQL server, encrypted where its address asks for it.

use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    client::{Address, Fault, FaultKind, TlsMode, Transport, transport},
    runtime::Native,
};

/// The request that comes before TLS: its length, and a version of the protocol that there never
/// was.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What to do about a server without TLS.
const NO_TLS: &str = "the server offers no TLS; set `ssl = on` there, or remove `sslmode`";

/// A stream to the server, encrypted where the address asks for it.
pub(in crate::client) async fn stream<N: Native>(
    address: &Address,
) -> Result<Transport<N::Conn>, Fault> {
    let mode = address.tls().map_err(|why| Fault::new(FaultKind::Tls, why))?;
    let stream = transport::connect::<N>(address).await?;
    if mode == TlsMode::Off {
        return Ok(stream);
    }
    match ask_for_tls(stream).await? {
        (stream, true) => stream.encrypted(&mode, address).await,
        (_, false) => Err(Fault::new(FaultKind::Tls, NO_TLS)),
    }
}

/// Asks whether the server encrypts.
pub(in crate::client) async fn ask_for_tls<C: Read + Write + Unpin>(
    stream: Transport<C>,
) -> Result<(Transport<C>, bool), Fault> {
    let mut stream = TokioIo::new(stream);
    stream.write_all(&SSL_REQUEST).await?;
    let is_offered = stream.read_u8().await? == b'S';
    Ok((stream.into_inner(), is_offered))
}
