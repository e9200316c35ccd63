use std::collections::HashMap;

use bson::{Bson, Document, doc};
use certfleet_domain::{
    Agent, AgentName, Fingerprint, ManagedId, Placement, PlacementId, Target, TargetName, Timestamp,
};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};

use super::{all_of, by_id, find_many, find_one};
use crate::collections::{AGENT_SIGHTINGS, AGENTS, PLACEMENTS, TARGETS};
use crate::documents::{from_bson_time, insert, remove, replace};
use crate::error::StorageError;
use crate::group::{Row, Unit, Write};

/// Where certificates of the fleet go: hosts' agents, targets, and how far each certificate is on its way.
#[derive(Clone)]
pub struct Deliveries {
    agents: Collection<Document>,
    sightings: Collection<Document>,
    targets: Collection<Document>,
    placements: Collection<Document>,
}

/// When an agent was heard of last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// Which build of it.
    pub software: String,
}

impl Deliveries {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            agents: database.collection(AGENTS),
            sightings: database.collection(AGENT_SIGHTINGS),
            targets: database.collection(TARGETS),
            placements: database.collection(PLACEMENTS),
        }
    }

    /// The agent of this name.
    pub async fn agent(&self, name: &AgentName) -> Result<Option<Agent>, StorageError> {
        find_one(&self.agents, by_id(name)).await
    }

    /// The agent that shows this certificate, or is about to.
    pub async fn agent_that_shows(
        &self,
        certificate: Fingerprint,
    ) -> Result<Option<Agent>, StorageError> {
        let fingerprint = certificate.to_string();
        // Two queries, each by an index of its own.
        let shows = doc! { "certificate.fingerprint": &fingerprint };
        if let Some(agent) = find_one(&self.agents, shows).await? {
            return Ok(Some(agent));
        }
        find_one(&self.agents, doc! { "next.fingerprint": fingerprint }).await
    }

    /// All agents, by name.
    pub async fn agents(&self) -> Result<Vec<Agent>, StorageError> {
        all_of(self.agents.find(doc! {}).sort(doc! { "_id": 1 }).await?).await
    }

    /// The unit that stores a new agent; refused as a duplicate if there is one of its name.
    pub fn insert_agent(&self, agent: &Agent) -> Result<Unit, StorageError> {
        insert(agent)
    }

    /// The unit that stores a change, provided that nobody has changed the agent since it was read.
    pub fn update_agent(&self, agent: &Agent) -> Result<Unit, StorageError> {
        replace(agent)
    }

    /// The unit that removes an agent, provided that nobody has changed it since it was read. What it shows counts no more, at once.
    pub fn remove_agent(&self, agent: &Agent) -> Unit {
        remove(agent)
    }

    /// The unit that notes that an agent was heard of now.
    pub fn sighted(&self, agent: &AgentName, software: &str) -> Unit {
        let software = doc! { "$literal": software };
        Unit::of(Write::Ensure {
            row: Row::new(AGENT_SIGHTINGS, agent.as_str()),
            pipeline: vec![doc! { "$set": { "at": "$$NOW", "software": software } }],
        })
    }

    /// When an agent was heard of last.
    pub async fn sighting(&self, agent: &AgentName) -> Result<Option<Sighting>, StorageError> {
        let found = self.sightings.find_one(by_id(agent)).await?;
        Ok(found.as_ref().and_then(sighting))
    }

    /// When each agent was heard of last; those that never were are left out.
    pub async fn sightings(&self) -> Result<HashMap<AgentName, Sighting>, StorageError> {
        let all: Vec<Document> = self.sightings.find(doc! {}).await?.try_collect().await?;
        let read =
            |found: Document| Some((found.get_str("_id").ok()?.parse().ok()?, sighting(&found)?));
        Ok(all.into_iter().filter_map(read).collect())
    }

    /// The target of this name.
    pub async fn target(&self, name: &TargetName) -> Result<Option<Target>, StorageError> {
        find_one(&self.targets, by_id(name)).await
    }

    /// All targets, by name.
    pub async fn targets(&self) -> Result<Vec<Target>, StorageError> {
        all_of(self.targets.find(doc! {}).sort(doc! { "_id": 1 }).await?).await
    }

    /// Those of these names that there are.
    pub async fn targets_named(&self, names: &[TargetName]) -> Result<Vec<Target>, StorageError> {
        let names: Vec<&str> = names.iter().map(TargetName::as_str).collect();
        find_many(&self.targets, doc! { "_id": { "$in": names } }).await
    }

    /// The unit that stores a new target; refused as a duplicate if there is one of its name.
    pub fn insert_target(&self, target: &Target) -> Result<Unit, StorageError> {
        insert(target)
    }

    /// The targets on a host.
    pub async fn targets_on(&self, agent: &AgentName) -> Result<Vec<Target>, StorageError> {
        find_many(&self.targets, doc! { "agent": agent.as_str() }).await
    }

    /// The unit that removes a target, provided that nobody has changed it since it was read.
    pub fn remove_target(&self, target: &Target) -> Unit {
        remove(target)
    }

    /// The placement of this id.
    pub async fn placement(&self, id: PlacementId) -> Result<Option<Placement>, StorageError> {
        find_one(&self.placements, by_id(&id)).await
    }

    /// Those of these ids that there are.
    pub async fn placements(&self, ids: &[PlacementId]) -> Result<Vec<Placement>, StorageError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        find_many(&self.placements, doc! { "_id": { "$in": ids } }).await
    }

    /// Where a managed certificate goes, in the order in which that was said.
    pub async fn placements_of(&self, managed: ManagedId) -> Result<Vec<Placement>, StorageError> {
        let its = doc! { "managed": managed.to_string() };
        let mut all: Vec<Placement> = find_many(&self.placements, its).await?;
        // Ids are of a moment.
        all.sort_by_key(|placement| placement.id);
        Ok(all)
    }

    /// What is to be delivered to a host, the longest due first, `most` of it. Reads that, and nothing else.
    pub async fn pending(
        &self,
        agent: &AgentName,
        most: i64,
    ) -> Result<Vec<Placement>, StorageError> {
        let pending = doc! { "agent": agent.as_str(), "next_at": { "$type": "date" } };
        let found = self.placements.find(pending).sort(doc! { "next_at": 1 });
        all_of(found.limit(most).await?).await
    }

    /// How many placements there are at each target, by their state: how many, and how many of these are to be delivered.
    pub async fn tally(&self) -> Result<Vec<(TargetName, i64, i64)>, StorageError> {
        let pending = doc! { "$cond": [{ "$gt": ["$next_at", Bson::Null] }, 1, 0] };
        let stages = vec![
            doc! { "$group": { "_id": "$target", "all": { "$sum": 1 }, "pending": { "$sum": pending } } },
            doc! { "$sort": { "_id": 1 } },
        ];
        let rows: Vec<Document> = self
            .placements
            .aggregate(stages)
            .await?
            .try_collect()
            .await?;
        let number = |row: &Document, field: &str| {
            row.get(field).and_then(|value| match value {
                Bson::Int32(number) => Some(i64::from(*number)),
                Bson::Int64(number) => Some(*number),
                _ => None,
            })
        };
        Ok(rows
            .iter()
            .filter_map(|row| {
                let target = row.get_str("_id").ok()?.parse().ok()?;
                Some((target, number(row, "all")?, number(row, "pending")?))
            })
            .collect())
    }

    /// Whether anything goes to a target.
    pub async fn is_in_use(&self, target: &TargetName) -> Result<bool, StorageError> {
        let at = doc! { "target": target.as_str() };
        Ok(self.placements.find_one(at).await?.is_some())
    }

    /// The unit that removes a placement, provided that nobody has changed it since it was read.
    pub fn remove_placement(&self, placement: &Placement) -> Unit {
        remove(placement)
    }

    /// The unit that stores a new placement; refused as a duplicate if the certificate is at the target already, or another
    /// one has its place.
    pub fn insert_placement(&self, placement: &Placement) -> Result<Unit, StorageError> {
        insert(placement)
    }

    /// The unit that stores a change, provided that nobody has changed the placement since it was read.
    pub fn update_placement(&self, placement: &Placement) -> Result<Unit, StorageError> {
        replace(placement)
    }
}

fn sighting(document: &Document) -> Option<Sighting> {
    Some(Sighting {
        at: from_bson_time(*document.get_datetime("at").ok()?),
        software: document.get_str("software").ok()?.to_owned(),
    })
}
