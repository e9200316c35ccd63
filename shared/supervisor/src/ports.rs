//! Ports: which are free, and who has the others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Socket, Type};

use crate::error::SupervisorError;
use crate::procfs;

/// Below what Linux gives to outgoing connections (32768 and up), so that a port that was free at one start is not
/// taken by chance at the next.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Fails with one line, which names the holder where it can be seen, if nothing can listen on the address.
pub fn require_free(address: SocketAddr, purpose: &str) -> Result<(), SupervisorError> {
    match try_bind(address) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(taken(address.port(), purpose))
        }
        Err(source) => Err(SupervisorError::PortUnusable {
            port: address.port(),
            purpose: purpose.to_owned(),
            source,
        }),
    }
}

pub(crate) fn taken(port: u16, purpose: &str) -> SupervisorError {
    let holders: Vec<_> = procfs::listeners(port)
        .into_iter()
        .map(|holder| format!("pid {} ({})", holder.pid, holder.name))
        .collect();
    SupervisorError::PortTaken {
        port,
        purpose: purpose.to_owned(),
        holder: if holders.is_empty() {
            "another process".to_owned()
        } else {
            holders.join(", ")
        },
    }
}

pub(crate) fn is_free(port: u16) -> bool {
    try_bind((Ipv4Addr::LOCALHOST, port).into()).is_ok()
}

/// Binds, and does not listen: whoever looks at the same port at the same time is not in the way, and neither is a child
/// that this process has just forked, which holds the socket until it becomes another program.
fn try_bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Picks different ports that are free on 127.0.0.1 at this moment. Nothing holds them for the caller.
///
/// No two calls in one process give the same port before the range has been gone through once, and processes start at
/// different places, so that clusters which start at the same time seldom meet.
pub fn pick_free_ports(count: usize) -> Result<Vec<u16>, SupervisorError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(7919);
    let picked: Vec<u16> = (0..COUNT)
        .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % u32::from(COUNT))
        .filter_map(|offset| u16::try_from(offset).ok())
        .map(|offset| FIRST + offset)
        .filter(|port| is_free(*port))
        .take(count)
        .collect();
    if picked.len() == count {
        Ok(picked)
    } else {
        Err(SupervisorError::NoFreePort)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refused = require_free(address, "the API").unwrap_err().to_string();
        let pid = format!("pid {}", std::process::id());
        assert!(
            refused.contains(&address.port().to_string()) && refused.contains(&pid),
            "{refused}"
        );
        assert_eq!(refused.lines().count(), 1);
    }

    #[test]
    fn looking_at_a_port_does_not_take_it() {
        let port = pick_free_ports(1).unwrap()[0];
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Somebody who has looked, and whose socket is still there.
        let looking = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        looking.set_reuse_address(true).unwrap();
        looking.bind(&address.into()).unwrap();
        require_free(address, "the API").unwrap();
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn picked_ports_differ() {
        let mut ports = pick_free_ports(20).unwrap();
        ports.extend(pick_free_ports(20).unwrap());
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 40);
    }
}
