//! A snapshot of the database goes into a file, in bounded memory, while others write.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use certfleet_domain::{Clock, SystemClock};
use certfleet_storage::collections::{
    AUDIT_CHECKPOINTS, AUDIT_STATE, MIGRATIONS, PROCESSES, SECRETS,
};
use certfleet_storage::{Corrupt, StorageError, Store};
use mongodb::options::{CollectionOptions, ReadConcern};
use mongodb::{ClientSession, Collection, Database};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::archive::Writer;
use crate::error::BackupError;
use crate::history::History;
use crate::manifest::{AuditHead, Chunk, Contents, FORMAT, Manifest};

/// A chunk is full with so many octets.
const FULL: usize = 8 << 20;
/// So many full chunks wait for the file: with one that is filled and one that is packed, no more is in memory.
const WAITING: usize = 2;

/// Writes a backup to `path`, which must not be there. `seen` is told how many documents were read.
///
/// All collections are as they were at one moment, that of the first read. What is written meanwhile goes on and is not in it.
/// The primary is asked to keep that moment for as long as it takes, and told to go back to what it kept before. The register
/// of living processes is left out. Broken off, it leaves `path.part` behind, which the next run writes over.
///
/// # Errors
/// The file, the database, or [`BackupError::SnapshotGone`] if it takes longer than the server keeps a snapshot.
pub async fn create(
    store: &Store,
    path: &Path,
    version: &str,
    mut seen: impl FnMut(u64),
) -> Result<Manifest, BackupError> {
    if path.exists() {
        return Err(BackupError::Exists(path.to_owned()));
    }
    let part = PathBuf::from(format!("{}.part", path.display()));
    let created_at = SystemClock.now();
    let file = open(&part).map_err(|source| of_file(&part, source))?;
    let (send, receive) = mpsc::channel(WAITING);
    let writing: JoinHandle<io::Result<(Writer, Vec<Contents>)>> =
        spawn_blocking(move || write(Writer::begin(file, created_at), receive));

    let history = History::lengthen(store.database()).await;
    let read = match Snapshot::begin(store).await {
        Ok(snapshot) => snapshot.read(send, &mut seen).await,
        Err(error) => {
            drop(send);
            Err(error)
        }
    };
    history.end().await;
    let written = writing
        .await
        .map_err(|error| of_file(&part, io::Error::other(error)))?;
    // The writer's trouble is the reader's as well, and its cause.
    let (writer, collections) = written.map_err(|source| of_file(&part, source))?;
    let facts = read?;
    let manifest = Manifest {
        format: FORMAT,
        version: version.to_owned(),
        created_at,
        snapshot: (facts.at.time, facts.at.increment),
        database: store.database().name().to_owned(),
        schema: facts.schema,
        keks: facts.keks,
        audit: facts.audit,
        collections,
    };
    let ended = {
        let manifest = manifest.clone();
        spawn_blocking(move || writer.finish(&manifest))
    };
    ended
        .await
        .map_err(io::Error::other)
        .and_then(|ended| ended)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|source| of_file(path, source))?;
    Ok(manifest)
}

/// Nobody but its owner may read it: it has every name, and every secret, though sealed.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn of_file(path: &Path, source: io::Error) -> BackupError {
    BackupError::File {
        path: path.to_owned(),
        source,
    }
}

/// Documents of a collection, one after the other.
struct Filled {
    collection: String,
    documents: u64,
    octets: Vec<u8>,
}

/// Packs and writes what comes, in a thread that may block.
fn write(
    mut writer: Writer,
    mut filled: mpsc::Receiver<Filled>,
) -> io::Result<(Writer, Vec<Contents>)> {
    let mut all: Vec<Contents> = Vec::new();
    while let Some(filled) = filled.blocking_recv() {
        if all.last().is_none_or(|last| last.name != filled.collection) {
            all.push(Contents {
                name: filled.collection.clone(),
                documents: 0,
                chunks: Vec::new(),
            });
        }
        let Some(contents) = all.last_mut() else {
            continue;
        };
        if filled.documents == 0 {
            continue;
        }
        let name = format!("{}/{:06}.bson.zst", contents.name, contents.chunks.len());
        let chunk: Chunk = writer.add(name, filled.documents, &filled.octets)?;
        contents.documents += chunk.documents;
        contents.chunks.push(chunk);
    }
    Ok((writer, all))
}

/// What the manifest tells beside the chunks.
struct Facts {
    at: Timestamp,
    schema: Vec<i32>,
    keks: Vec<String>,
    audit: AuditHead,
}

/// The database as it was at one moment.
struct Snapshot {
    database: Database,
    session: ClientSession,
}

impl Snapshot {
    async fn begin(store: &Store) -> Result<Self, BackupError> {
        let database = store.database().clone();
        let session = database.client().start_session().snapshot(true).await?;
        Ok(Self { database, session })
    }

    /// A collection whose reads are of the session's moment. It has to be said here: over the client's own concern, which is
    /// the majority's, the session does not put it.
    fn of<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::snapshot())
            .build();
        self.database.collection_with_options(name, options)
    }

    /// Reads all of it. The first read says which moment it is.
    async fn read(
        mut self,
        send: mpsc::Sender<Filled>,
        seen: &mut impl FnMut(u64),
    ) -> Result<Facts, BackupError> {
        let schema = self.all(MIGRATIONS, doc! {}).await?;
        let schema = schema.iter().filter_map(|step| step.get_i32("_id").ok());
        let facts = Facts {
            schema: schema.collect(),
            keks: self.keks().await?,
            audit: self.audit().await?,
            at: self.session.snapshot_time().ok_or_else(|| {
                BackupError::Storage(StorageError::from(Corrupt {
                    collection: MIGRATIONS,
                    id: "snapshot".to_owned(),
                    why: "the database did not say which moment it read".to_owned(),
                }))
            })?,
        };
        let mut names = self.database.list_collection_names().await?;
        names.sort_unstable();
        names.retain(|name| name != PROCESSES && !name.starts_with("system."));
        let mut read = 0;
        for name in names {
            if self
                .collection(&name, &send, &mut read, seen)
                .await?
                .is_none()
            {
                // The file is in trouble; the writer says which.
                break;
            }
        }
        Ok(facts)
    }

    /// Sends a collection's documents on their way; `None` if nobody takes them.
    async fn collection(
        &mut self,
        name: &str,
        send: &mpsc::Sender<Filled>,
        read: &mut u64,
        seen: &mut impl FnMut(u64),
    ) -> Result<Option<()>, BackupError> {
        let documents: Collection<RawDocumentBuf> = self.of(name);
        let mut found = documents.find(doc! {}).session(&mut self.session).await?;
        let empty = || Filled {
            collection: name.to_owned(),
            documents: 0,
            octets: Vec::new(),
        };
        let mut filled = empty();
        while found.advance(&mut self.session).await? {
            filled.octets.extend_from_slice(found.current().as_bytes());
            filled.documents += 1;
            *read += 1;
            if filled.octets.len() >= FULL {
                let full = std::mem::replace(&mut filled, empty());
                if send.send(full).await.is_err() {
                    return Ok(None);
                }
                seen(*read);
            }
        }
        seen(*read);
        Ok(send.send(filled).await.ok())
    }

    async fn all(
        &mut self,
        collection: &str,
        filter: Document,
    ) -> Result<Vec<Document>, BackupError> {
        let documents: Collection<Document> = self.of(collection);
        let mut found = documents.find(filter).session(&mut self.session).await?;
        let mut all = Vec::new();
        while found.advance(&mut self.session).await? {
            all.push(found.deserialize_current()?);
        }
        Ok(all)
    }

    async fn keks(&mut self) -> Result<Vec<String>, BackupError> {
        let secrets: Collection<Document> = self.of(SECRETS);
        // Reads all of them, as a backup does.
        let keks = secrets
            .distinct("kek", doc! {})
            .session(&mut self.session)
            .await?;
        let text = |kek: &Bson| kek.as_str().map(str::to_owned);
        Ok(keks.iter().filter_map(text).collect())
    }

    async fn audit(&mut self) -> Result<AuditHead, BackupError> {
        let head = self.all(AUDIT_STATE, doc! { "_id": "head" }).await?;
        let entries = head.first().and_then(|head| head.get_i64("size").ok());
        let checkpoints: Collection<Document> = self.of(AUDIT_CHECKPOINTS);
        let last = checkpoints
            .find_one(doc! {})
            .sort(doc! { "_id": -1 })
            .session(&mut self.session)
            .await?;
        let note = last.and_then(|last| last.get_str("note").ok().map(str::to_owned));
        Ok(AuditHead {
            entries: entries.unwrap_or_default().max(0).unsigned_abs(),
            checkpoint: note,
        })
    }
}
