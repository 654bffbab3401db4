//! Addresses at which nothing answers: one that is silent, one that refuses connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// An address at which connections succeed, because the kernel accepts them, but nothing ever answers.
#[derive(Debug)]
pub struct SilentListener {
    listener: TcpListener,
}

impl SilentListener {
    /// Listens on a free port of 127.0.0.1.
    pub fn new() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { listener })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        let address = self.listener.local_addr();
        crate::url(address.expect("a bound socket has an address"))
    }
}

/// A port on which every connection is refused, for as long as this value lives.
#[derive(Debug)]
pub struct RefusingPort {
    socket: TcpSocket,
}

impl RefusingPort {
    /// Takes a free port of 127.0.0.1 without listening on it: nobody else can, and the kernel answers RST.
    pub fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { socket })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        let address = self.socket.local_addr();
        crate::url(address.expect("a bound socket has an address"))
    }
}
