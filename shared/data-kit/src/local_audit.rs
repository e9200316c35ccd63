//! A process's own audit file: each act that it has put on record, chained, on its own disk (AUD-5).
//!
//! The log in the database is what counts. An act is here when its transaction is committed; a process that dies at that
//! moment has it there and not here, never the other way round.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use certfleet_audit::{LocalChain, LocalEntry, LocalError};
use certfleet_domain::ServerId;
use certfleet_storage::Witness;

/// The last line is looked for in so much of the file; no event is longer than a small part of it.
const TAIL: u64 = 1 << 20;

/// Why there is no local audit file.
#[derive(Debug, thiserror::Error)]
pub enum LocalAuditError {
    /// The file cannot be read or written.
    #[error("audit.file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its last line is not one of this process's.
    #[error(
        "audit.file {}: its last line: {why}. Each process has a file of its own; move this one away to begin anew",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: LocalError,
    },
}

/// A process's own audit file.
pub struct LocalAudit {
    path: PathBuf,
    end: Mutex<(File, LocalChain)>,
}

impl LocalAudit {
    /// Opens the file behind its last line, which has to be this server's; makes it if there is none. Half a line at its end,
    /// of a process that was killed, is cut off.
    ///
    /// # Errors
    /// See [`LocalAuditError`].
    pub fn open(path: &Path, server: ServerId) -> Result<Self, LocalAuditError> {
        let failed = |source| LocalAuditError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let last = last_line(&mut file).map_err(failed)?;
        let chain = match last {
            None => LocalChain::new(server),
            Some(line) => ours(&line, server).map_err(|why| LocalAuditError::NotOurs {
                path: path.to_owned(),
                why,
            })?,
        };
        Ok(Self {
            path: path.to_owned(),
            end: Mutex::new((file, chain)),
        })
    }
}

fn ours(line: &str, server: ServerId) -> Result<LocalChain, LocalError> {
    let last = LocalEntry::parse(line)?;
    if last.server == server {
        Ok(LocalChain::behind(&last))
    } else {
        Err(LocalError::OtherServer {
            found: last.server,
            due: server,
        })
    }
}

/// The last whole line, without its end; what is behind it is cut off.
fn last_line(file: &mut File) -> io::Result<Option<String>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|octet| *octet == b'\n') else {
        // Half of the first line, or none.
        if start == 0 {
            file.set_len(0)?;
            return Ok(None);
        }
        return Err(io::Error::other("its last line is too long"));
    };
    let whole = start + end as u64 + 1;
    if whole < length {
        tracing::warn!("the local audit file ended with half a line, which is cut off");
        file.set_len(whole)?;
    }
    let begin = tail[..end].iter().rposition(|octet| *octet == b'\n');
    let line = &tail[begin.map_or(0, |before| before + 1)..end];
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

impl Witness for LocalAudit {
    fn recorded(&self, events: &[String]) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, chain) = &mut *end;
        // Nothing goes on in the chain that is not in the file.
        let mut next = chain.clone();
        let lines: String = events
            .iter()
            .map(|event| next.append(event).to_string() + "\n")
            .collect();
        match file.write_all(lines.as_bytes()) {
            Ok(()) => *chain = next,
            Err(error) => tracing::error!(
                "audit.file {}: {error}; {} acts are in the database's log alone",
                self.path.display(),
                events.len()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{SystemClock, SystemRng};

    use super::*;

    fn server() -> ServerId {
        ServerId::generate(&SystemClock, &mut SystemRng)
    }

    fn entries(path: &Path) -> Vec<LocalEntry> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| LocalEntry::parse(line).unwrap())
            .collect()
    }

    #[test]
    fn a_file_goes_on_after_a_restart_and_half_a_line_is_cut_off() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("audit");
        let us = server();
        for round in 0..3_u64 {
            let file = LocalAudit::open(&path, us).unwrap();
            file.recorded(&[format!("{{\"a\":{round}}}"), "{}".to_owned()]);
            let half = OpenOptions::new().append(true).open(&path);
            half.unwrap().write_all(b"{\"server\":\"").unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count() as u64, 2 * round + 3);
        }
        LocalAudit::open(&path, us).unwrap();
        let mut chain = LocalChain::new(us);
        for entry in entries(&path) {
            chain.follow(&entry).unwrap();
        }
        assert_eq!(chain.size(), 6);
    }

    #[test]
    fn the_file_of_another_is_refused_and_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("audit");
        let (us, them) = (server(), server());
        LocalAudit::open(&path, them)
            .unwrap()
            .recorded(&["{}".to_owned()]);
        let before = std::fs::read(&path).unwrap();
        let refused = LocalAudit::open(&path, us).err().unwrap().to_string();
        assert!(refused.contains(&them.to_string()), "{refused}");
        std::fs::write(&path, "hello\n").unwrap();
        let refused = LocalAudit::open(&path, us).err().unwrap().to_string();
        assert!(refused.contains("no entry"), "{refused}");
        std::fs::write(&path, &before).unwrap();
        LocalAudit::open(&path, them).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
