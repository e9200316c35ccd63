//! What `/proc` tells about other processes. All of it is a snapshot: a pid may be gone the next moment.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The pids of this machine, as far as they can be seen.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether the process was started with this variable set to this value. False for processes of other users, and for
/// those that have ended and only wait for their parent.
pub(crate) fn started_with(pid: i32, variable: &str, value: &Path) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment.split(|byte| *byte == 0).any(|entry| {
        entry
            .strip_prefix(variable.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            == Some(value.as_os_str().as_bytes())
    })
}

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Its pid.
    pub(crate) pid: i32,
    /// Its name, as the kernel has it (up to 15 characters).
    pub(crate) name: String,
}

/// The processes that listen on this TCP port on any address; those of other users may be hidden.
pub(crate) fn listeners(port: u16) -> Vec<Listener> {
    let sockets = listening_sockets(port);
    if sockets.is_empty() {
        return Vec::new();
    }
    pids()
        .into_iter()
        .filter(|pid| holds_any(*pid, &sockets))
        .map(|pid| Listener {
            pid,
            name: fs::read_to_string(format!("/proc/{pid}/comm"))
                .map(|name| name.trim().to_owned())
                .unwrap_or_default(),
        })
        .collect()
}

/// The inodes of the sockets that listen on the port, as `/proc/<pid>/fd` shows them.
fn listening_sockets(port: u16) -> Vec<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            table
                .lines()
                .filter_map(|line| listening_socket(line, port))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// One line of the kernel's table: `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...`.
fn listening_socket(line: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    (state == LISTEN && u16::from_str_radix(local_port, 16).ok()? == port)
        .then(|| format!("socket:[{inode}]"))
}

fn holds_any(pid: i32, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| sockets.iter().any(|socket| target.as_os_str() == &**socket))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_listener_of_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = listeners(port);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].pid.unsigned_abs(), std::process::id());
        drop(listener);
        assert_eq!(listeners(port), []);
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let line = "   0: 0100007F:6989 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4711 1 x";
        assert_eq!(
            listening_socket(line, 0x6989).as_deref(),
            Some("socket:[4711]")
        );
        assert_eq!(listening_socket(line, 0x6988), None);
        assert_eq!(
            listening_socket(&line.replace(" 0A ", " 01 "), 0x6989),
            None
        );
        assert_eq!(
            listening_socket("  sl  local_address rem_address   st", 1),
            None
        );
    }

    #[test]
    fn the_environment_is_compared_whole() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let directory = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
        assert!(started_with(
            pid,
            "CARGO_MANIFEST_DIR",
            Path::new(&directory)
        ));
        assert!(!started_with(pid, "CARGO_MANIFEST_DIR", Path::new("/")));
        assert!(!started_with(pid, "CARGO_MANIFEST", Path::new(&directory)));
    }
}
