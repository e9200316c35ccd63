//! The way back.

use std::collections::BTreeSet;
use std::path::Path;

use bson::{Document, RawDocumentBuf, doc};
use certfleet_audit::Event;
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_migrations::{begin_restore, end_restore, last_step};
use certfleet_storage::collections::{LEASES, MIGRATIONS, PROCESSES};
use certfleet_storage::{CommitError, Processes, Store, Unit};
use mongodb::error::{Error as MongoError, ErrorKind, InsertManyError};
use mongodb::options::WriteConcern;
use mongodb::{Collection, Database};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::archive;
use crate::error::BackupError;
use crate::manifest::{Chunk, Manifest};

/// Notes how far a restore has come, and of which backup it is.
const PROGRESS: &str = "restore";
/// So many chunks are read ahead.
const AHEAD: usize = 2;
/// The server's answer when a document is there already.
const DUPLICATE_KEY: i32 = 11_000;

/// What a restore may find in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onto {
    /// Nothing, or what the same restore has left when it was broken off.
    Empty,
    /// Anything: it is dropped. Nobody may work with it.
    Anything,
}

/// Restores a backup that was inspected just now; `act` is put on record when all of it is there, before services may start.
/// `seen` is told how many documents are there.
///
/// # Errors
/// As for [`crate::inspect`]; and what stands in the way in the database, which is untouched then.
pub async fn restore(
    store: &Store,
    path: &Path,
    manifest: &Manifest,
    onto: Onto,
    act: &Event,
    mut seen: impl FnMut(u64),
) -> Result<(), BackupError> {
    let ground = Ground { store, manifest };
    ground.require_right_name()?;
    ground.require_known_schema()?;
    let done = ground.prepare(onto).await?;
    let (send, mut receive) = mpsc::channel(AHEAD);
    let reading = {
        let (path, manifest, done) = (path.to_owned(), manifest.clone(), done.clone());
        spawn_blocking(move || {
            archive::chunks(&path, &manifest, |collection, chunk, octets| {
                let skipped = done.contains(&chunk.name) || collection == MIGRATIONS;
                let next = (!skipped).then_some(octets);
                let next = (collection.to_owned(), chunk.clone(), next);
                send.blocking_send(next)
                    .map_err(|_| "it was broken off".to_owned())
            })
        })
    };
    let mut there = 0;
    let mut trouble = Ok(());
    while let Some((collection, chunk, octets)) = receive.recv().await {
        if let Some(octets) = octets {
            trouble = ground.insert(&collection, &chunk, &octets).await;
            if trouble.is_err() {
                break;
            }
        }
        there += chunk.documents;
        seen(there);
    }
    drop(receive);
    let read = reading.await;
    trouble?;
    read.map_err(|error| BackupError::File {
        path: path.to_owned(),
        source: std::io::Error::other(error),
    })??;
    ground.finish(act).await
}

struct Ground<'r> {
    store: &'r Store,
    manifest: &'r Manifest,
}

impl Ground<'_> {
    fn database(&self) -> &Database {
        self.store.database()
    }

    fn progress(&self) -> Collection<Document> {
        self.database().collection(PROGRESS)
    }

    fn require_right_name(&self) -> Result<(), BackupError> {
        let settings = self.database().name();
        if settings == self.manifest.database {
            return Ok(());
        }
        Err(BackupError::OtherName {
            backup: self.manifest.database.clone(),
            settings: settings.to_owned(),
        })
    }

    fn require_known_schema(&self) -> Result<(), BackupError> {
        let known = last_step();
        match self.manifest.schema.iter().find(|step| **step > known) {
            None => Ok(()),
            Some(step) => Err(BackupError::Newer(*step)),
        }
    }

    /// What tells this backup from all others: its chunks' digests.
    fn name(&self) -> String {
        let digests = self
            .manifest
            .chunks()
            .map(|(_, chunk)| chunk.sha256.as_str());
        archive::sha256(digests.collect::<String>().as_bytes())
    }

    /// Makes room, and puts the schema in place, with the mark that a restore is under way. Gives the chunks that are there
    /// already.
    async fn prepare(&self, onto: Onto) -> Result<BTreeSet<String>, BackupError> {
        let begun = match onto {
            Onto::Anything => {
                self.require_idle().await?;
                self.database().drop().await?;
                None
            }
            Onto::Empty => self.progress().find_one(doc! {}).await?,
        };
        let done = match begun {
            Some(begun) if begun.get_str("_id").is_ok_and(|name| name == self.name()) => {
                let done = begun.get_array("done").cloned().unwrap_or_default();
                let names = done.iter().filter_map(|name| name.as_str());
                names.map(str::to_owned).collect()
            }
            Some(_) => return Err(BackupError::AnotherRestore),
            None => {
                self.require_empty().await?;
                let begun = doc! { "_id": self.name(), "done": [] };
                self.progress().insert_one(begun).await?;
                BTreeSet::new()
            }
        };
        let me = ServerId::generate(&SystemClock, &mut SystemRng);
        begin_restore(self.store, me).await?;
        Ok(done)
    }

    async fn require_empty(&self) -> Result<(), BackupError> {
        let mut names = self.database().list_collection_names().await?;
        // The schema alone is nothing.
        names.retain(|name| {
            ![MIGRATIONS, PROCESSES, LEASES].contains(&name.as_str())
                && !name.starts_with("system.")
        });
        for name in names {
            let documents: Collection<Document> = self.database().collection(&name);
            if documents.find_one(doc! {}).await?.is_some() {
                return Err(BackupError::NotEmpty(name));
            }
        }
        self.require_idle().await
    }

    async fn require_idle(&self) -> Result<(), BackupError> {
        let census = self.store.processes.census().await?;
        let alive = census
            .iter()
            .find(|process| process.silent_for < Processes::ALIVE_WITHIN);
        match alive {
            None => Ok(()),
            Some(process) => Err(BackupError::InUse(format!(
                "{} {}",
                process.service, process.id
            ))),
        }
    }

    /// Inserts the documents of a chunk; those that an earlier attempt has left are there already.
    async fn insert(
        &self,
        collection: &str,
        chunk: &Chunk,
        octets: &[u8],
    ) -> Result<(), BackupError> {
        let documents = split(octets).map_err(|why| BackupError::Broken {
            path: chunk.name.clone().into(),
            why,
        })?;
        let target: Collection<RawDocumentBuf> = self.database().collection(collection);
        let inserted = target
            .insert_many(documents)
            .ordered(false)
            .write_concern(WriteConcern::majority())
            .await;
        match inserted {
            Ok(_) => {}
            Err(error) if only_duplicates(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let done = doc! { "$addToSet": { "done": &chunk.name } };
        let ours = doc! { "_id": self.name() };
        self.progress().update_one(ours, done).await?;
        Ok(())
    }

    /// On record first: killed in between, it is there twice, and never not at all.
    async fn finish(&self, act: &Event) -> Result<(), BackupError> {
        let recorded = Unit::default().recording(act)?;
        match self.store.commit(recorded).await {
            Ok(()) => {}
            Err(CommitError::Storage(error)) => return Err(error.into()),
            Err(error) => return Err(BackupError::NotRecorded(error.to_string())),
        }
        self.progress().drop().await?;
        Ok(end_restore(self.store).await?)
    }
}

/// BSON documents, one after the other.
fn split(mut octets: &[u8]) -> Result<Vec<RawDocumentBuf>, String> {
    let mut documents = Vec::new();
    while !octets.is_empty() {
        let length = octets
            .first_chunk()
            .and_then(|length| usize::try_from(i32::from_le_bytes(*length)).ok())
            .filter(|length| (5..=octets.len()).contains(length))
            .ok_or("a document ends behind the chunk")?;
        let (document, rest) = octets.split_at(length);
        let document = RawDocumentBuf::from_bytes(document.to_vec());
        documents.push(document.map_err(|error| error.to_string())?);
        octets = rest;
    }
    Ok(documents)
}

fn only_duplicates(error: &MongoError) -> bool {
    let ErrorKind::InsertMany(InsertManyError {
        write_errors: Some(errors),
        write_concern_error: None,
        ..
    }) = error.kind.as_ref()
    else {
        return false;
    };
    // Of its id: one that another document has the key of would be lost.
    errors
        .iter()
        .all(|error| error.code == DUPLICATE_KEY && error.message.contains("index: _id_ "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_apart_and_half_of_one_is_refused() {
        let one = bson::serialize_to_vec(&doc! { "_id": 1 }).unwrap();
        let two = [one.as_slice(), &one].concat();
        assert_eq!(split(&two).unwrap().len(), 2);
        assert_eq!(split(&[]).unwrap().len(), 0);
        for cut in 1..one.len() {
            assert!(split(&two[..one.len() + cut]).is_err(), "{cut}");
        }
        assert!(split(&[0xff; 8]).is_err());
    }
}
