//! What people have switched for the whole cluster: maintenance, and kinds of jobs that are paused. A handful of
//! documents: what is there is on.

use std::collections::BTreeSet;

use bson::{Document, doc};
use certfleet_audit::Event;
use certfleet_domain::Timestamp;
use certfleet_jobs::JobKind;
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use crate::audit::recorded::{Change, recorded};
use crate::collections::SWITCHES;
use crate::error::{Corrupt, StorageError};
use crate::metrics::Metrics;

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

/// The switches, as they lie in the database. What is switched is put on record in the same transaction.
#[derive(Clone)]
pub struct SwitchBoard {
    collection: Collection<Document>,
    metrics: Metrics,
}

impl SwitchBoard {
    pub(crate) fn new(database: &Database, metrics: Metrics) -> Self {
        Self {
            collection: database.collection(SWITCHES),
            metrics,
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
    pub async fn begin_maintenance(&self, reason: &str, event: &Event) -> Result<(), StorageError> {
        let fields = doc! { "reason": { "$literal": reason } };
        self.switch_on(MAINTENANCE, fields, event).await
    }

    /// Ends the maintenance, if there is one; says whether there was.
    pub async fn end_maintenance(&self, event: &Event) -> Result<bool, StorageError> {
        self.switch_off(MAINTENANCE, event).await
    }

    /// Jobs of this kind are not claimed from here on; those that are in hand go on.
    pub async fn pause(&self, kind: JobKind, event: &Event) -> Result<(), StorageError> {
        self.switch_on(&format!("{PAUSED}{kind}"), doc! {}, event)
            .await
    }

    /// Jobs of this kind are claimed again; says whether they were not.
    pub async fn resume(&self, kind: JobKind, event: &Event) -> Result<bool, StorageError> {
        self.switch_off(&format!("{PAUSED}{kind}"), event).await
    }

    async fn switch_on(
        &self,
        id: &str,
        mut fields: Document,
        event: &Event,
    ) -> Result<(), StorageError> {
        fields.insert("since", doc! { "$ifNull": ["$since", "$$NOW"] });
        let on = Change::Ensure(vec![doc! { "$set": fields }]);
        self.switch(id, on, event).await.map(|_| ())
    }

    async fn switch_off(&self, id: &str, event: &Event) -> Result<bool, StorageError> {
        self.switch(id, Change::Remove, event).await
    }

    async fn switch(&self, id: &str, change: Change, event: &Event) -> Result<bool, StorageError> {
        let filter = doc! { "_id": id };
        recorded(&self.collection, filter, change, event, &self.metrics).await
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
