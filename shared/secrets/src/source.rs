//! Where a local KEK comes from: a file that nobody else can read, or a value in the environment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand::RngCore;
use zeroize::Zeroizing;

use crate::kek::{KekId, KekProvider};
use crate::local::LocalKek;

/// More than any form of a key takes.
const MAX_FILE: usize = 256;

/// Why a KEK could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KekSourceError {
    /// The file cannot be read or written.
    #[error("file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner may read the file.
    #[error(
        "file {path} can be read by others than its owner (mode {mode:04o}); run: chmod 600 {path} (or chown root and chmod 440, with a \
         group that is this service's own)",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("KEK file {} does not hold a key: 32 bytes are due, raw or as hex or base64 text", path.display())]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// The value is something else.
    #[error("the KEK value is not a key: 32 bytes are due, as hex or base64 text")]
    NotAKeyValue,
}

/// The KEK in a file: 32 raw bytes, or their hex or base64 text, with or without a line end.
///
/// Refused unless the file is a regular one that only its owner can reach, or that is root's and given to this process's group.
pub fn read_kek_file(path: &Path) -> Result<LocalKek, KekSourceError> {
    let content = read_private_file(path, MAX_FILE)?;
    let key = raw(&content).or_else(|| std::str::from_utf8(&content).ok().and_then(text));
    match key {
        Some(key) => Ok(LocalKek::new(&key)),
        None => Err(KekSourceError::NotAKeyFile {
            path: path.to_owned(),
        }),
    }
}

/// What is in a file that holds something secret: no more than its first `longest` octets.
///
/// Refused unless the file is a regular one that only its owner can reach, or that is root's and given to this process's group.
pub fn read_private_file(
    path: &Path,
    longest: usize,
) -> Result<Zeroizing<Vec<u8>>, KekSourceError> {
    let failed = |source| KekSourceError::File {
        path: path.to_owned(),
        source,
    };
    // Before it is opened, because opening a named pipe would wait for its writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file, so that what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o7777;
    if !is_private(mode, metadata.uid(), rustix::process::geteuid().as_raw()) {
        return Err(KekSourceError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut content = Zeroizing::new(Vec::with_capacity(longest + 1));
    file.take(longest as u64)
        .read_to_end(&mut content)
        .map_err(failed)?;
    Ok(content)
}

/// Whether a file of these permission bits is for its owner alone; or root's, for a service that runs as somebody else and
/// whose group may read it: so a secret is given to one on a host, and by Kubernetes to a pod with an `fsGroup`.
fn is_private(mode: u32, owner: u32, me: u32) -> bool {
    let others_may = mode & 0o077;
    others_may == 0 || others_may == 0o040 && owner == 0 && me != 0
}

/// The KEK in a setting: the hex or base64 text of 32 bytes. The value itself is never repeated.
pub fn read_kek_value(value: &str) -> Result<LocalKek, KekSourceError> {
    text(value)
        .map(|key| LocalKek::new(&key))
        .ok_or(KekSourceError::NotAKeyValue)
}

/// Writes a new KEK, as hex text, to a file that must not exist yet and that only its owner can read.
/// Returns once it is on disk.
pub fn generate_kek_file(path: &Path, rng: &mut dyn RngCore) -> Result<KekId, KekSourceError> {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill_bytes(key.as_mut());
    let mut line = Zeroizing::new(hex::encode(key.as_ref()));
    line.push('\n');
    write_new(path, line.as_bytes()).map_err(|source| KekSourceError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(LocalKek::new(&key).id().clone())
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

fn raw(content: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    content.try_into().ok().map(Zeroizing::new)
}

fn text(content: &str) -> Option<Zeroizing<[u8; 32]>> {
    let content = content.trim();
    let mut key = Zeroizing::new([0; 32]);
    if content.len() == 64 {
        return hex::decode_to_slice(content, key.as_mut())
            .ok()
            .map(|()| key);
    }
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [STANDARD, URL_SAFE].iter().find_map(|alphabet| {
        let decoded = GeneralPurpose::new(alphabet, lenient)
            .decode(content)
            .ok()?;
        raw(&Zeroizing::new(decoded))
    })
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
