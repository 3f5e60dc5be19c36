//! The way to a server: a stream of the executor, found by name, opened within a time limit.

use std::{
    future::Future,
    io::{self, IoSlice},
    net::{SocketAddr, ToSocketAddrs},
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};

use super::{
    Address, Fault, FaultKind, TlsMode, Tried,
    tls::{self, Encrypted},
    unresolved,
};
use crate::runtime::Native;

/// A stream to a server.
pub enum Transport<C> {
    /// As the executor has it.
    Plain(C),
    /// Encrypted.
    Tls(Box<Encrypted<C>>),
}

impl<C: Read + Write + Unpin> Transport<C> {
    /// Encrypts a plain stream, once both sides have agreed to; one that is encrypted stays as it
    /// is.
    pub async fn encrypted(self, mode: &TlsMode, address: &Address) -> Result<Self, Fault> {
        match self {
            Self::Plain(stream) if *mode != TlsMode::Off => {
                tls::encrypt(stream, mode, address).await.map(|stream| Self::Tls(Box::new(stream)))
            }
            unchanged => Ok(unchanged),
        }
    }
}

/// Opens a stream to a server: to its socket in the file system, or to its host by name, of which
/// all addresses are tried, in the order in which the system gives them.
pub async fn connect<N: Native>(server: &Address) -> Result<Transport<N::Conn>, Fault> {
    if let Some(path) = &server.socket {
        let words = |why: io::Error| {
            format!("nothing answers: {why}; start the server, or correct the path of its socket")
        };
        let opened = N::connect_local(path).await.map(Transport::Plain);
        return opened.map_err(|why| Fault::new(FaultKind::Refused, words(why)));
    }
    let (host, port) = (server.host.as_str(), server.port);
    let mut tried = Tried::default();
    for address in look_up::<N>(host, port).await.map_err(|why| unresolved(&why))? {
        match N::connect(address).await {
            Ok(stream) => return Ok(Transport::Plain(stream)),
            Err(why) => tried.add(address, why),
        }
    }
    Err(tried.fault(host))
}

/// A name is looked up where blocking work belongs, for the system's resolver blocks.
async fn look_up<N: Native>(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    N::unblock(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect)).await
}

/// Ends the opening of a connection after [`Address::connect_limit`].
pub async fn within_limit<N: Native, T: Send>(
    server: &Address,
    opening: impl Future<Output = Result<T, Fault>> + Send,
) -> Result<T, Fault> {
    let limit = server.connect_limit();
    let late = || {
        let seconds = limit.as_secs();
        Fault::new(
            FaultKind::ConnectTimeout,
            format!("no connection within {seconds} s; is the server overloaded?"),
        )
    };
    N::timeout(limit, opening).await.unwrap_or_else(|_| Err(late()))
}

impl<C: Read + Write + Unpin> Read for Transport<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl<C: Read + Write + Unpin> Write for Transport<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, block_on};

    /// The fault of opening a stream to a url's host, as a client tells it.
    fn refused(url: &str) -> String {
        let address = Address::parse(url).unwrap();
        let opened = block_on(connect::<Blocking>(&address));
        opened.map(|_| ()).unwrap_err().at(&address).message
    }

    #[test]
    fn an_address_is_told_once() {
        // The system gives port 1 to nobody.
        let told = refused("mysql://127.0.0.1:1");
        assert!(told.starts_with("mysql://127.0.0.1:1: nothing answers: "), "{told}");
        assert_eq!(told.matches("127.0.0.1").count(), 1, "{told}");
        let told = refused("mysql://localhost:1");
        assert!(told.contains("localhost") && told.contains("nothing answers at "), "{told}");
        let told = refused("mysql://no-such-host.invalid");
        assert_eq!(told.matches("no-such-host").count(), 1, "{told}");
        let told = refused("mysql://localhost/?socket=/no/such.sock");
        assert!(
            told.contains("/no/such.sock: nothing answers: ")
                && told.contains("path of its socket"),
            "{told}"
        );
    }
}
