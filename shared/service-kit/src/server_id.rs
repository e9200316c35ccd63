//! Who this process is, kept across its restarts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use certfleet_domain::{Clock, ServerId};
use rand::RngCore;

const NAME: &str = "server_id";

/// Why this process does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum ServerIdError {
    /// The file cannot be read or made.
    #[error("the server id in {} cannot be kept: {source} (state.dir says where)", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{} does not hold a server id (32 hexadecimal digits); restore it, or remove it to begin as a new server",
        path.display()
    )]
    Garbled {
        /// The file.
        path: PathBuf,
    },
}

/// The id in `directory/server_id`. On the first start there is none, and a new one is put there, in
/// one step: a crash leaves either no id or all of it, and of two processes that start at once, both
/// get the same.
pub fn server_id(
    directory: &Path,
    clock: &dyn Clock,
    rng: &mut dyn RngCore,
) -> Result<ServerId, ServerIdError> {
    let path = directory.join(NAME);
    let failed = |source| ServerIdError::Io {
        path: path.clone(),
        source,
    };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(directory, &path, ServerId::generate(clock, rng)).map_err(failed)?;
            // What is there now, whoever put it there.
            fs::read_to_string(&path)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(ServerIdError::Garbled { path });
        }
        read => read,
    };
    let text = text.map_err(failed)?;
    text.trim_end_matches('\n')
        .parse()
        .map_err(|_| ServerIdError::Garbled { path })
}

fn create(directory: &Path, path: &Path, id: ServerId) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    // Named after the id, so that nobody else writes the same one.
    let draft = directory.join(format!(".{NAME}.{id}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    // A link, not a rename: it never replaces an id that is there already.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(directory)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use certfleet_domain::{SystemClock, SystemRng};

    use super::*;

    fn id(directory: &Path) -> Result<ServerId, ServerIdError> {
        server_id(directory, &SystemClock, &mut SystemRng)
    }

    #[test]
    fn the_id_stays_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("a/b");
        let first = id(&state).unwrap();
        assert_eq!(id(&state).unwrap(), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.join(NAME)), 0o600);
        assert_eq!(mode(&state), 0o700);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "a draft was left");
    }

    #[test]
    fn those_who_start_at_once_agree() {
        let directory = tempfile::tempdir().unwrap();
        let ids: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| id(directory.path()).unwrap()))
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_garbled_file_is_refused_and_left_alone() {
        for content in [&b""[..], b"me", b"\xff", b"0190\n0190"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(NAME);
            fs::write(&path, content).unwrap();
            let error = id(directory.path()).unwrap_err();
            assert!(matches!(error, ServerIdError::Garbled { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = id(&file.path().join("state")).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
        assert!(error.contains("state.dir"), "{error}");
    }
}
