//! What was there before, kept until what takes its place has proven good.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certfleet_agent_protocol::Item;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::files::{put, sync};
use crate::state::State;

/// Where it says what lies where.
const JOURNAL: &str = "journal.json";
/// How the names of copies begin.
const COPY: &str = "before-";

/// What was there before, of all files of a group. While its file is there, a group is under way.
pub struct Journal {
    state: PathBuf,
    before: BTreeMap<PathBuf, Before>,
}

/// A file as it was.
#[derive(Clone, Serialize, Deserialize)]
enum Before {
    /// There was none.
    Nothing,
    /// A copy of it is in the state directory, under this name.
    File {
        copy: String,
        mode: u32,
        user: u32,
        group: u32,
    },
}

impl Journal {
    /// Keeps what is there under the paths of these items.
    pub fn begin(state: &State, items: &[Item]) -> anyhow::Result<Self> {
        let mut before = BTreeMap::new();
        let paths = items.iter().flat_map(|item| &item.files);
        for (number, file) in paths.enumerate() {
            let path = PathBuf::from(&file.path);
            if before.contains_key(&path) {
                continue;
            }
            let copy = format!("{COPY}{number}");
            let kept = keep(state, &path, copy).with_context(|| path.display().to_string())?;
            before.insert(path, kept);
        }
        // From here on, a process that is killed is followed by one that puts all of it back.
        state.put(JOURNAL, &serde_json::to_vec(&before)?)?;
        Ok(Self {
            state: state.path(""),
            before,
        })
    }

    /// Puts back what a group has left behind that was broken off, if one was.
    pub fn recover(state: &State) -> anyhow::Result<()> {
        let Some(content) = state.get(JOURNAL)? else {
            return remove_copies(&state.path(""));
        };
        let before = serde_json::from_slice(&content);
        let journal = Self {
            state: state.path(""),
            before: before.with_context(|| state.path(JOURNAL).display().to_string())?,
        };
        for path in journal.before.keys() {
            journal.put_back(path)?;
        }
        tracing::warn!(
            files = journal.before.len(),
            "a delivery was broken off: what was there before is there again"
        );
        journal.end();
        remove_copies(&state.path(""))
    }

    /// Puts back what was there under the paths of this item.
    pub fn restore(&self, item: &Item) -> anyhow::Result<()> {
        item.files
            .iter()
            .try_for_each(|file| self.put_back(Path::new(&file.path)))
    }

    fn put_back(&self, path: &Path) -> anyhow::Result<()> {
        match self.before.get(path) {
            None => Ok(()),
            Some(Before::Nothing) => {
                match fs::remove_file(path) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                    Err(error) => return Err(error).with_context(|| path.display().to_string()),
                }
                path.parent().map_or(Ok(()), sync)
            }
            Some(Before::File {
                copy,
                mode,
                user,
                group,
            }) => {
                let content = fs::read(self.state.join(copy)).map(Zeroizing::new);
                let content = content.with_context(|| copy.clone())?;
                let owner = (Some(Uid::from_raw(*user)), Some(Gid::from_raw(*group)));
                put(path, &content, *mode, owner)
            }
        }
    }

    /// What was there before is not needed any more.
    pub fn end(self) {
        // First what says that a group is under way: copies that nothing speaks of are written over.
        let copies = self.before.values().filter_map(|before| match before {
            Before::Nothing => None,
            Before::File { copy, .. } => Some(copy.as_str()),
        });
        for name in [JOURNAL].into_iter().chain(copies) {
            if let Err(error) = fs::remove_file(self.state.join(name)) {
                tracing::error!(%error, name, "is not removed from the state directory");
            }
        }
    }
}

/// Removes copies that no journal speaks of: of a group that ended when its process did.
fn remove_copies(state: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(state).with_context(|| state.display().to_string())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(COPY) {
            fs::remove_file(entry.path()).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

/// Copies a file into the state directory, if there is one.
fn keep(state: &State, path: &Path, copy: String) -> anyhow::Result<Before> {
    let content = match fs::read(path) {
        Ok(content) => Zeroizing::new(content),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Before::Nothing),
        Err(error) => return Err(error.into()),
    };
    let metadata = fs::metadata(path)?;
    state.put(&copy, &content)?;
    Ok(Before::File {
        copy,
        mode: metadata.mode() & 0o7777,
        user: metadata.uid(),
        group: metadata.gid(),
    })
}
