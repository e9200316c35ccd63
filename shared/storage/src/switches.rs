//! What people have switched for the whole cluster: maintenance, and kinds of jobs that are paused. A handful of
//! documents: what is there is on.

use std::collections::BTreeSet;

use bson::{Document, doc};
use certfleet_domain::Timestamp;
use certfleet_jobs::JobKind;
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use crate::collections::SWITCHES;
use crate::error::{Corrupt, StorageError};

const MAINTENANCE: &str = "maintenance";
const PAUSED: &str = "paused/";

/// How all switches stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Switches {
    /// While there is one, nothing new may be ordered.
    pub maintenance: Option<Maintenance>,
    /// The kinds of jobs that are not claimed.
    pub paused: BTreeSet<String>,
}

/// A maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// Since when, by the server's clock.
    pub since: Timestamp,
    /// What clients are told; may be empty.
    pub reason: String,
}

/// The switches, as they lie in the database.
#[derive(Clone)]
pub struct SwitchBoard {
    collection: Collection<Document>,
}

impl SwitchBoard {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(SWITCHES),
        }
    }

    /// How all of them stand.
    pub async fn read(&self) -> Result<Switches, StorageError> {
        let mut found = self.collection.find(doc! {}).await?;
        let mut switches = Switches::default();
        while let Some(switch) = found.try_next().await? {
            let id = switch.get_str("_id").unwrap_or_default();
            if id == MAINTENANCE {
                switches.maintenance = Some(maintenance(&switch)?);
            } else if let Some(kind) = id.strip_prefix(PAUSED) {
                switches.paused.insert(kind.to_owned());
            }
        }
        Ok(switches)
    }

    /// Begins a maintenance; where there is one, changes its reason.
    pub async fn begin_maintenance(&self, reason: &str) -> Result<(), StorageError> {
        self.switch_on(MAINTENANCE, doc! { "reason": { "$literal": reason } })
            .await
    }

    /// Ends the maintenance, if there is one; says whether there was.
    pub async fn end_maintenance(&self) -> Result<bool, StorageError> {
        self.switch_off(MAINTENANCE).await
    }

    /// Jobs of this kind are not claimed from here on; those that are in hand go on.
    pub async fn pause(&self, kind: JobKind) -> Result<(), StorageError> {
        self.switch_on(&format!("{PAUSED}{kind}"), doc! {}).await
    }

    /// Jobs of this kind are claimed again; says whether they were not.
    pub async fn resume(&self, kind: JobKind) -> Result<bool, StorageError> {
        self.switch_off(&format!("{PAUSED}{kind}")).await
    }

    async fn switch_on(&self, id: &str, mut fields: Document) -> Result<(), StorageError> {
        fields.insert("since", doc! { "$ifNull": ["$since", "$$NOW"] });
        self.collection
            .update_one(doc! { "_id": id }, vec![doc! { "$set": fields }])
            .upsert(true)
            .await?;
        Ok(())
    }

    async fn switch_off(&self, id: &str) -> Result<bool, StorageError> {
        let removed = self.collection.delete_one(doc! { "_id": id }).await?;
        Ok(removed.deleted_count > 0)
    }
}

fn maintenance(switch: &Document) -> Result<Maintenance, Corrupt> {
    let corrupt = |why: String| Corrupt {
        collection: SWITCHES,
        id: MAINTENANCE.to_owned(),
        why,
    };
    let since = switch
        .get_datetime("since")
        .map_err(|error| corrupt(format!("since: {error}")))?;
    Ok(Maintenance {
        since: since.to_time_0_3(),
        reason: switch.get_str("reason").unwrap_or_default().to_owned(),
    })
}
