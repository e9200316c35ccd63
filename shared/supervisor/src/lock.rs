//! The data directory belongs to one supervisor at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::SupervisorError;

/// An exclusive hold on a data directory, until it is dropped or the process ends, however it ends.
///
/// The lock is the kernel's (`flock`), so that one left by a dead process is none. The file beside it holds the pid
/// for people, and is left where it is: removing it would let two processes lock two files of one name.
#[derive(Debug)]
pub struct DataLock {
    directory: PathBuf,
    _file: File,
}

impl DataLock {
    /// Takes the directory, which is made if it is not there, readable for its owner only.
    pub fn take(directory: &Path) -> Result<Self, SupervisorError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(SupervisorError::file("create", directory))?;
        let directory = directory
            .canonicalize()
            .map_err(SupervisorError::file("find", directory))?;
        let path = directory.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(SupervisorError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SupervisorError::Locked {
                    holder: holder(&mut file),
                    directory,
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(SupervisorError::file("lock", &path)(source));
            }
        }
        write_pid(&mut file).map_err(SupervisorError::file("write", &path))?;
        Ok(Self {
            directory,
            _file: file,
        })
    }

    /// The directory, as an absolute path without symbolic links.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Who has the lock. Between locking and writing, the holder's file is empty or of the one before.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text).map(|_| text.trim()) {
        Ok(pid) if pid.parse::<u32>().is_ok() => format!("pid {pid}"),
        _ => "its pid is not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_holder_and_a_dead_ones_is_taken_over() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("new/data");
        let first = DataLock::take(&directory).unwrap();
        let refused = DataLock::take(&directory).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("pid {}", std::process::id())),
            "{refused}"
        );
        assert_eq!(refused.lines().count(), 1);
        drop(first);
        std::fs::write(directory.join("lock"), "999999999\n").unwrap();
        DataLock::take(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = DataLock::take(&file.join("data")).unwrap_err().to_string();
        assert!(refused.contains("file/data"), "{refused}");
    }
}
