//! A listening socket.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections the kernel keeps for us while we are busy; it may keep fewer
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Why there is no listening socket: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has the port.
    #[error("{0} is taken by another process; stop it, or listen elsewhere")]
    Taken(SocketAddr),
    /// The port may not be had.
    #[error("{0} may not be listened at by this user; choose a port above 1023")]
    Forbidden(SocketAddr),
    /// The machine has no such address.
    #[error("{0} is not an address of this machine")]
    NotOurs(SocketAddr),
    /// Anything else.
    #[error("{address} cannot be listened at: {source}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Listens at an address; port 0 picks a free one. With `reuse_port`, other processes of the same user
/// may listen there as well, and the kernel spreads the connections over them. Needs a runtime.
pub fn bind(address: SocketAddr, reuse_port: bool) -> Result<TcpListener, BindError> {
    open(address, reuse_port).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(address),
        io::ErrorKind::PermissionDenied => BindError::Forbidden(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs(address),
        _ => BindError::Other { address, source },
    })
}

fn open(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // So that a restart need not wait for the last one's connections to be forgotten.
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // [::] is for IPv4 as well, whatever the machine's default.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
