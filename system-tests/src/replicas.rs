//! Connections of which it is known which API replica they lead to.
//!
//! The replicas share one port (`SO_REUSEPORT`) and look the same from outside. But each client here has a source
//! address of its own in 127.0.0.0/8, by which the kernel's tables tell whose socket is at the other end.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_supervisor::ProcessEntry;

use crate::Cluster;
use crate::acme::Acme;

/// How often to try to get to a replica that the kernel does not choose.
const MOST_TRIES: usize = 200;

/// So many ACME clients for each API replica, in the order of the replicas' index. Each has one connection, over which
/// all of its requests go.
pub async fn clients_of_each(cluster: &Cluster, count: usize) -> Result<Vec<Vec<Acme>>> {
    let replicas: Vec<ProcessEntry> = cluster
        .processes()?
        .into_iter()
        .filter(|process| process.service == "api")
        .collect();
    let mut clients: Vec<Vec<Acme>> = replicas.iter().map(|_| Vec::new()).collect();
    for _ in 0..MOST_TRIES * count {
        if clients.iter().all(|clients| clients.len() == count) {
            return Ok(clients);
        }
        let source = source_address();
        let client = client_from(cluster, source).await?;
        let socket = socket_towards(source, cluster.port())
            .with_context(|| format!("the kernel shows no connection from {source}"))?;
        let owner = replicas
            .iter()
            .position(|replica| holds(replica.pid, socket))
            .with_context(|| format!("the connection from {source} is no API replica's"))?;
        if clients[owner].len() < count {
            clients[owner].push(client);
        }
    }
    let found: Vec<usize> = clients.iter().map(Vec::len).collect();
    ensure!(
        false,
        "connections by replica: {found:?}, where {count} each are due"
    );
    Ok(clients)
}

async fn client_from(cluster: &Cluster, source: Ipv4Addr) -> Result<Acme> {
    // Over HTTP/2 all requests share the one connection.
    let http = cluster
        .http_builder()?
        .local_address(Some(source.into()))
        .pool_idle_timeout(None)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .build()?;
    Acme::connect(http, cluster.directory()).await
}

/// An address that no other connection of this program comes from.
fn source_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

/// The inode of the server's socket of the connection from this address.
fn socket_towards(source: Ipv4Addr, port: u16) -> Option<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| {
            let table = fs::read_to_string(table).ok()?;
            table
                .lines()
                .skip(1)
                .find_map(|line| inode_of(line, source, port))
        })
}

/// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode`, addresses in hex, little-endian.
fn inode_of(line: &str, source: Ipv4Addr, port: u16) -> Option<u64> {
    const ESTABLISHED: &str = "01";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, remote, state) = (fields.get(1)?, fields.get(2)?, fields.get(3)?);
    let (_, local_port) = local.split_once(':')?;
    let (remote_address, _) = remote.split_once(':')?;
    let source = format!("{:08X}", u32::from_le_bytes(source.octets()));
    let matches = *state == ESTABLISHED
        && u16::from_str_radix(local_port, 16) == Ok(port)
        && remote_address.ends_with(&source);
    if matches {
        fields.get(9)?.parse().ok()
    } else {
        None
    }
}

/// Whether a process has this socket open.
fn holds(pid: i32, inode: u64) -> bool {
    let socket = format!("socket:[{inode}]");
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(Result::ok)
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| target.as_os_str() == socket.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernels_table_is_read() {
        let line = "  12: 0100007F:36B0 05004D7F:C350 01 00000000:00000000 02:000A7214 00000000  1000        0 48192 2 0 20";
        let source = Ipv4Addr::new(127, 77, 0, 5);
        assert_eq!(inode_of(line, source, 14000), Some(48192));
        assert_eq!(inode_of(line, source, 14001), None);
        assert_eq!(inode_of(line, Ipv4Addr::new(127, 77, 0, 6), 14000), None);
    }
}
