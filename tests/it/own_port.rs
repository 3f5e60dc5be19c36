//! A port of a test's own, on loopback: while it is kept, nobody gets it who has not been told its
//! number.
//!
//! A port that was free a moment ago is anybody's: a server that is killed and started again finds
//! it taken by a connection or a listener of another test, to which the system has given it. So it
//! is bound here for as long as the test lives, but nobody listens. As the socket says
//! `SO_REUSEADDR`, a server that says so, too, may listen on it (`socket(7)`); the system gives it
//! to nobody who asks for any port, and calls to it are refused while no server runs.

use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, Ipv4Addr, SocketAddrV4, SocketFlags, SocketType, bind, getsockname, socket_with,
    sockopt,
};

/// A port that is kept until this is dropped.
pub struct OwnPort {
    _socket: OwnedFd,
    number: u16,
}

impl OwnPort {
    /// One that nobody has.
    pub fn new() -> Self {
        let socket = bound(0, true).unwrap();
        let number = SocketAddrV4::try_from(getsockname(&socket).unwrap()).unwrap().port();
        Self { _socket: socket, number }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A socket of a port; 0 is any.
fn bound(port: u16, shares: bool) -> rustix::io::Result<OwnedFd> {
    // A server that a test starts must not inherit it.
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, shares)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(socket)
}

mod tests {
    use std::{
        io::ErrorKind,
        net::{TcpListener, TcpStream},
    };

    use super::{OwnPort, bound};

    #[test]
    fn a_kept_port_is_for_its_server_alone() {
        let port = OwnPort::new();
        let address = ("127.0.0.1", port.number());
        let refused =
            || TcpStream::connect(address).unwrap_err().kind() == ErrorKind::ConnectionRefused;
        for _ in 0..2 {
            assert!(refused());
            assert_eq!(bound(port.number(), false).unwrap_err(), rustix::io::Errno::ADDRINUSE);
            // As a server does, std asks for `SO_REUSEADDR`.
            let server = TcpListener::bind(address).unwrap();
            drop((TcpStream::connect(address).unwrap(), server.accept().unwrap()));
        }
        assert!(refused());
    }
}
