//! The file: written once from front to end, and read so.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use certfleet_domain::Timestamp;
use tar::{Archive, Builder, EntryType, Header};

use crate::error::BackupError;
use crate::manifest::{Chunk, FORMAT, Manifest};

/// The entry that says what is in all others.
const MANIFEST: &str = "manifest.json";
/// And the one that says that this one is whole: its SHA-256.
const SEAL: &str = "manifest.sha256";
/// zstd's own default: a third of the size of a certificate's documents, at the speed of a disk.
const LEVEL: i32 = 3;
/// No chunk is larger, uncompressed: a document has 16 MiB at the most, and a chunk ends with the first that fills it.
pub const LARGEST: u64 = 32 << 20;

/// A file that is being written.
pub struct Writer {
    tar: Builder<BufWriter<File>>,
    time: u64,
}

impl Writer {
    /// Begins it.
    pub fn begin(file: File, time: Timestamp) -> Self {
        Self {
            tar: Builder::new(BufWriter::new(file)),
            time: time.unix_timestamp().unsigned_abs(),
        }
    }

    /// Adds documents, one after the other.
    pub fn add(&mut self, name: String, documents: u64, octets: &[u8]) -> io::Result<Chunk> {
        let packed = zstd::encode_all(octets, LEVEL)?;
        self.entry(&name, &packed)?;
        Ok(Chunk {
            name,
            documents,
            octets: octets.len() as u64,
            sha256: sha256(octets),
        })
    }

    /// Ends it: when this returns it is on the disk.
    pub fn finish(mut self, manifest: &Manifest) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        self.entry(MANIFEST, &text)?;
        self.entry(SEAL, sha256(&text).as_bytes())?;
        let file = self.tar.into_inner()?.into_inner()?;
        file.sync_all()
    }

    fn entry(&mut self, name: &str, octets: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(self.time);
        header.set_size(octets.len() as u64);
        self.tar.append_data(&mut header, name, octets)
    }
}

/// Reads a backup from front to end, and holds every chunk against the manifest. `seen` is told the octets of the file
/// that were read.
///
/// # Errors
/// What is wrong with it, by the name of the first entry that is.
pub fn inspect(path: &Path, mut seen: impl FnMut(u64)) -> Result<Manifest, BackupError> {
    let mut found: HashMap<String, (u64, String)> = HashMap::new();
    let (mut manifest, mut sealed) = (None::<Vec<u8>>, false);
    walk(path, |name, octets, at| {
        seen(at);
        match &manifest {
            Some(text) if name == SEAL && !sealed => {
                sealed = octets == sha256(text).as_bytes();
                return Ok(());
            }
            Some(_) => return Err(format!("{name} comes after the manifest")),
            None if name == MANIFEST => {
                manifest = Some(octets.to_vec());
                return Ok(());
            }
            None => {}
        }
        let unpacked = unpack(octets).map_err(|error| format!("{name}: {error}"))?;
        let length = unpacked.len() as u64;
        match found.insert(name.to_owned(), (length, sha256(&unpacked))) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is there twice")),
        }
    })?;
    let broken = |why: String| BackupError::Broken {
        path: path.to_owned(),
        why,
    };
    let text = manifest.filter(|_| sealed);
    let text = text.ok_or_else(|| broken("it has no whole manifest at its end".to_owned()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| broken(format!("{MANIFEST}: {error}")))?;
    if manifest.format != FORMAT {
        let why = format!(
            "it is of format {}, and this build reads {FORMAT}",
            manifest.format
        );
        return Err(broken(why));
    }
    for (_, chunk) in manifest.chunks() {
        let due = (chunk.octets, chunk.sha256.clone());
        match found.remove(&chunk.name) {
            None => return Err(broken(format!("{} is missing", chunk.name))),
            Some(is) if is != due => {
                return Err(broken(format!("{} is not what it was", chunk.name)));
            }
            Some(_) => {}
        }
    }
    match found.keys().next() {
        None => Ok(manifest),
        Some(name) => Err(broken(format!("{name} is not in the manifest"))),
    }
}

/// Reads the chunks of a backup that was inspected, one after the other, until `each` says that it is enough.
pub fn chunks(
    path: &Path,
    manifest: &Manifest,
    mut each: impl FnMut(&str, &Chunk, Vec<u8>) -> Result<(), String>,
) -> Result<(), BackupError> {
    let known: HashMap<&str, (&str, &Chunk)> = manifest
        .chunks()
        .map(|(collection, chunk)| (chunk.name.as_str(), (collection, chunk)))
        .collect();
    walk(path, |name, octets, _| {
        let Some((collection, chunk)) = known.get(name) else {
            return Ok(());
        };
        let unpacked = unpack(octets).map_err(|error| format!("{name}: {error}"))?;
        // Somebody may have changed the file since it was inspected.
        if sha256(&unpacked) != chunk.sha256 {
            return Err(format!("{name} is not what it was a moment ago"));
        }
        each(collection, chunk, unpacked)
    })
}

fn walk(
    path: &Path,
    mut each: impl FnMut(&str, &[u8], u64) -> Result<(), String>,
) -> Result<(), BackupError> {
    let file = File::open(path).map_err(|source| BackupError::File {
        path: path.to_owned(),
        source,
    })?;
    let broken = |why: String| BackupError::Broken {
        path: path.to_owned(),
        why,
    };
    let mut archive = Archive::new(BufReader::new(file));
    let entries = archive
        .entries()
        .map_err(|error| broken(error.to_string()))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| broken(error.to_string()))?;
        let name = entry.path().map_err(|error| broken(error.to_string()))?;
        let name = name.to_string_lossy().into_owned();
        let at = entry.raw_file_position();
        // What is packed is no larger than what is not, by more than a header.
        if entry.size() > LARGEST * 2 {
            return Err(broken(format!("{name} is too large")));
        }
        let mut octets = Vec::new();
        entry
            .read_to_end(&mut octets)
            .map_err(|error| broken(format!("{name}: {error}")))?;
        each(&name, &octets, at).map_err(broken)?;
    }
    Ok(())
}

/// Unpacks a chunk, and no more than one may have: what is written to be unpacked for ever is not.
fn unpack(octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let read = zstd::Decoder::new(octets)?
        .take(LARGEST + 1)
        .read_to_end(&mut unpacked)?;
    if read as u64 > LARGEST {
        return Err(io::Error::other("it is larger than any chunk"));
    }
    Ok(unpacked)
}

pub fn sha256(octets: &[u8]) -> String {
    hex::encode(digest(&SHA256, octets))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::manifest::{AuditHead, Contents};

    fn write(path: &Path) -> Manifest {
        let now = datetime!(2027-01-01 12:00 UTC);
        let mut writer = Writer::begin(File::create(path).unwrap(), now);
        let chunks = (0..3)
            .map(|number: u8| {
                let octets = vec![number; 100_000];
                writer
                    .add(format!("orders/{number}.bson.zst"), 1, &octets)
                    .unwrap()
            })
            .collect();
        let manifest = Manifest {
            format: FORMAT,
            version: "1".to_owned(),
            created_at: now,
            snapshot: (1, 2),
            database: "certfleet".to_owned(),
            schema: vec![1],
            keks: Vec::new(),
            audit: AuditHead {
                entries: 0,
                checkpoint: None,
            },
            collections: vec![Contents {
                name: "orders".to_owned(),
                documents: 3,
                chunks,
            }],
        };
        writer.finish(&manifest).unwrap();
        manifest
    }

    #[test]
    fn what_was_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("backup.tar");
        let manifest = write(&path);
        assert_eq!(inspect(&path, |_| {}).unwrap(), manifest);
        let mut read = Vec::new();
        chunks(&path, &manifest, |collection, chunk, octets| {
            read.push((collection.to_owned(), chunk.name.clone(), octets[0]));
            Ok(())
        })
        .unwrap();
        let names = read.iter().map(|(_, name, first)| (name.as_str(), *first));
        let due = [
            ("orders/0.bson.zst", 0),
            ("orders/1.bson.zst", 1),
            ("orders/2.bson.zst", 2),
        ];
        assert!(names.eq(due));
    }

    #[test]
    fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("backup.tar");
        let manifest = write(&path);
        let whole = std::fs::read(&path).unwrap();
        let end = whole.iter().rposition(|octet| *octet != 0).unwrap();
        for cut in (0..end).step_by(97) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(inspect(&path, |_| {}).is_err(), "cut at {cut}");
        }
        // What fills up the blocks of a tar archive is nobody's concern; all else is.
        let mut refused = 0;
        for at in (0..end).step_by(13) {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            std::fs::write(&path, &bent).unwrap();
            match inspect(&path, |_| {}) {
                Ok(read) => assert_eq!(read, manifest, "at {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 50, "{refused}");
    }
}
