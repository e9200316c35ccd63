//! What the agent keeps on its disk: who it is, and whom it asks.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certfleet_domain::AgentName;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// The directory, held by this process alone.
pub struct State {
    directory: PathBuf,
    _lock: Flock<File>,
}

/// Whom the agent asks, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The URL at which the API hears agents.
    pub server: String,
    /// The agent's name.
    pub name: AgentName,
}

impl State {
    /// Takes it; made if it is not there.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let shown = || directory.display().to_string();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(shown)?;
        // Keys lie there.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).with_context(shown)?;
        let lock = File::create(directory.join("lock")).with_context(shown)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
            anyhow::anyhow!(
                "{}: another certfleet-agent has it ({error})",
                directory.display()
            )
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Puts a file there, whole or not at all, for its owner alone.
    pub fn put(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        let shown = || path.display().to_string();
        let mut file = NamedTempFile::new_in(&self.directory).with_context(shown)?;
        file.write_all(content).with_context(shown)?;
        file.as_file().sync_all().with_context(shown)?;
        file.persist(&path).with_context(shown)?;
        self.sync()
    }

    /// Has a file take another's place.
    pub fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        fs::rename(self.path(from), self.path(to))
            .with_context(|| self.path(to).display().to_string())?;
        self.sync()
    }

    fn sync(&self) -> anyhow::Result<()> {
        let directory = File::open(&self.directory);
        let synced = directory.and_then(|directory| directory.sync_all());
        synced.with_context(|| self.directory.display().to_string())
    }

    /// A file's content; `None` if it is not there.
    pub fn get(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.path(name).display().to_string()),
        }
    }

    /// Whom the agent asks; `None` before it has enrolled.
    pub fn enrolment(&self) -> anyhow::Result<Option<Enrolment>> {
        let Some(content) = self.get(ENROLMENT)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&content);
        read.with_context(|| self.path(ENROLMENT).display().to_string())
    }

    /// Writes down whom the agent asks.
    pub fn enrolled(&self, enrolment: &Enrolment) -> anyhow::Result<()> {
        self.put(ENROLMENT, &serde_json::to_vec_pretty(enrolment)?)
    }

    /// The roots that the API's certificate leads to, if they are kept here.
    pub fn roots(&self) -> Option<PathBuf> {
        let path = self.path(ROOTS);
        path.exists().then_some(path)
    }
}

const ENROLMENT: &str = "enrolment.json";
/// The roots that the API's certificate leads to.
pub const ROOTS: &str = "roots.pem";
