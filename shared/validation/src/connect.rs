//! The one place where validation opens a socket to what an applicant names.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use certfleet_domain::ProblemKind;
use tokio::net::TcpStream;

use crate::address::{AddressPolicy, RefusedAddress};
use crate::deadline::Deadline;
use crate::error::ValidationError;
use crate::host::Host;
use crate::resolve::Resolver;

/// How many addresses of one name are tried.
const MAX_TRIES: usize = 3;

/// Opens connections, to allowed addresses only.
pub(crate) struct Dialer {
    pub(crate) resolver: Resolver,
    pub(crate) policy: AddressPolicy,
    pub(crate) connect_timeout: Duration,
}

/// An open connection, and how it came about.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) resolved: Vec<IpAddr>,
}

/// Why a socket was not opened.
enum Trouble {
    Refused(RefusedAddress),
    Timeout,
    Io(io::Error),
}

impl Dialer {
    /// A connection to the first address of the host that takes one.
    ///
    /// A name is resolved anew with each call; of its addresses those that are allowed are tried, IPv6 first, until
    /// one answers or three did not.
    pub(crate) async fn connect(
        &self,
        host: &Host,
        port: u16,
        deadline: Deadline,
    ) -> Result<Connection, ValidationError> {
        let resolved = match host {
            Host::Name(name) => self.resolver.addresses(name, deadline).await?,
            Host::Address(address) => vec![*address],
        };
        let mut troubles = Vec::new();
        let mut tries = 0;
        for address in resolved.iter().map(|ip| SocketAddr::new(*ip, port)) {
            match self.open(address, deadline).await {
                Ok(stream) => {
                    return Ok(Connection {
                        stream,
                        address,
                        resolved,
                    });
                }
                Err(Trouble::Io(error)) if is_ours(&error, address) => {
                    let why = format!("no socket can be opened: {error}");
                    return Err(ValidationError::Retry { why });
                }
                Err(trouble) => {
                    tries += usize::from(!matches!(trouble, Trouble::Refused(_)));
                    troubles.push((address, trouble));
                }
            }
            if tries == MAX_TRIES {
                break;
            }
        }
        Err(unconnected(host, &troubles))
    }

    /// Opens a socket to exactly this address, if it is allowed.
    async fn open(&self, address: SocketAddr, deadline: Deadline) -> Result<TcpStream, Trouble> {
        self.policy.check(address.ip()).map_err(Trouble::Refused)?;
        deadline
            .run_within(self.connect_timeout, TcpStream::connect(address))
            .await
            .map_err(|_| Trouble::Timeout)?
            .map_err(Trouble::Io)
    }
}

/// Whether a connection failed for want of something on this machine.
fn is_ours(error: &io::Error, address: SocketAddr) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match error.kind() {
        io::ErrorKind::OutOfMemory | io::ErrorKind::NetworkDown => true,
        // Over IPv4: no port is free. Over IPv6 it is what a machine without IPv6 says, and IPv4 may yet do.
        io::ErrorKind::AddrNotAvailable => address.is_ipv4(),
        _ => matches!(error.raw_os_error(), Some(ENFILE | EMFILE)),
    }
}

fn unconnected(host: &Host, troubles: &[(SocketAddr, Trouble)]) -> ValidationError {
    let each: Vec<String> = troubles
        .iter()
        .map(|(address, trouble)| match trouble {
            Trouble::Refused(refused) => refused.to_string(),
            Trouble::Timeout => format!("{address} did not answer in time (a firewall?)"),
            Trouble::Io(error) => format!("{address}: {}", reason(error)),
        })
        .collect();
    let all_refused = troubles
        .iter()
        .all(|(_, trouble)| matches!(trouble, Trouble::Refused(_)));
    let advice = if all_refused {
        "use a host with a public address, or ask the operator to allow its network"
    } else {
        "check that the server runs, listens on this port, and can be reached from outside"
    };
    let each = each.join("; ");
    ValidationError::failed(
        ProblemKind::Connection,
        format!("no connection to {host}: {each}; {advice}"),
    )
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::TimedOut => "timed out".to_owned(),
        other => other.to_string(),
    }
}
