//! Where there is no `epoll` there is no embedded server.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
};

use super::{HttpTarget, ServedCounts};

/// Always an error that names the remedy.
pub fn listen(_address: SocketAddr) -> io::Result<TcpListener> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "the embedded HTTP server needs Linux: name your own with `http = { url = \"http://…\" }`",
    ))
}

/// Never reached: [`listen`] gives no listener.
pub fn serve(
    _spec: &HttpTarget,
    _seed: u64,
    listener: TcpListener,
    _commands: impl AsFd,
    _answers: impl Write,
) -> io::Result<ServedCounts> {
    listen(listener.local_addr()?).map(|_| ServedCounts::default())
}

/// Never reached, either.
pub fn serve_until(
    spec: &HttpTarget,
    seed: u64,
    listener: TcpListener,
    (commands, answers): (impl AsFd, impl Write),
    _terminated: Option<&OwnedFd>,
) -> io::Result<ServedCounts> {
    serve(spec, seed, listener, commands, answers)
}
