use bson::{Document, doc};
use certfleet_domain::{DnsProof, ManagedId, ProjectName, Solver, SolverName, Timestamp};
use mongodb::{Collection, Database};

use super::{all_of, by_id, find_one};
use crate::collections::{DNS_PROOFS, SOLVERS};
use crate::documents::{insert, remove, to_bson_time};
use crate::error::StorageError;
use crate::group::{Row, Unit, Write};

/// Who can prove names by dns-01, and the records that are to be there for it, or not any more. Keys lie sealed, in
/// [`super::SealedSecrets`].
#[derive(Clone)]
pub struct Solvers {
    solvers: Collection<Document>,
    proofs: Collection<Document>,
}

impl Solvers {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            solvers: database.collection(SOLVERS),
            proofs: database.collection(DNS_PROOFS),
        }
    }

    /// The solver of this name.
    pub async fn find(&self, name: &SolverName) -> Result<Option<Solver>, StorageError> {
        find_one(&self.solvers, by_id(name)).await
    }

    /// All solvers, by name.
    pub async fn all(&self) -> Result<Vec<Solver>, StorageError> {
        all_of(self.solvers.find(doc! {}).sort(doc! { "_id": 1 }).await?).await
    }

    /// All solvers of a project.
    pub async fn of(&self, project: &ProjectName) -> Result<Vec<Solver>, StorageError> {
        let mut all = self.all().await?;
        all.retain(|solver| solver.project == *project);
        Ok(all)
    }

    /// The unit that stores a new solver; refused as a duplicate if there is one of its name.
    pub fn insert(&self, solver: &Solver) -> Result<Unit, StorageError> {
        insert(solver)
    }

    /// The unit that removes a solver, provided that nobody has changed it since it was read.
    pub fn remove(&self, solver: &Solver) -> Unit {
        remove(solver)
    }

    /// Whether any record of its zone is to be there, or to go, yet.
    pub async fn is_in_use(&self, name: &SolverName) -> Result<bool, StorageError> {
        let its = doc! { "solver": name.as_str() };
        Ok(self.proofs.find_one(its).await?.is_some())
    }

    /// The unit by which a proof is wanted, from now until its time is over. One that is published stays so.
    pub fn want(&self, proof: &DnsProof) -> Unit {
        let is_published = doc! { "$eq": ["$state", "published"] };
        let known = doc! { "$in": ["$state", ["published", "wanted"]] };
        let literal = |text: &str| doc! { "$literal": text };
        Unit::of(Write::Ensure {
            row: Row::new(DNS_PROOFS, proof.id()),
            pipeline: vec![doc! { "$set": {
                "solver": literal(proof.solver.as_str()),
                "name": literal(&proof.name),
                "text": literal(&proof.text),
                "managed": literal(&proof.managed.to_string()),
                "until": to_bson_time(proof.until),
                "changed_at": { "$cond": [&known, "$changed_at", "$$NOW"] },
                "state": { "$cond": [is_published, "published", "wanted"] },
            } }],
        })
    }

    /// The proofs with these ids that there are.
    pub async fn proofs(&self, ids: &[String]) -> Result<Vec<DnsProof>, StorageError> {
        all_of(self.proofs.find(doc! { "_id": { "$in": ids } }).await?).await
    }

    /// The proofs that a managed certificate waits for, or did, and that are there yet.
    pub async fn proofs_of(&self, managed: ManagedId) -> Result<Vec<DnsProof>, StorageError> {
        let its = doc! { "managed": managed.to_string() };
        all_of(self.proofs.find(its).await?).await
    }

    /// The proofs that are to be published or removed, or whose time is over; the oldest first, `most` of them. Reads these,
    /// and nothing else.
    pub async fn pending(&self, now: Timestamp, most: i64) -> Result<Vec<DnsProof>, StorageError> {
        let pending = doc! { "$or": [
            { "state": { "$in": ["wanted", "done"] } },
            { "until": { "$lte": to_bson_time(now) } },
        ] };
        all_of(self.proofs.find(pending).limit(most).await?).await
    }

    /// Notes that proofs are seen where they have to be. What is not wanted any more meanwhile stays so.
    pub async fn published(&self, ids: &[String]) -> Result<(), StorageError> {
        let wanted = doc! { "_id": { "$in": ids }, "state": "wanted" };
        let published = doc! { "$set": { "state": "published" }, "$unset": { "trouble": "" } };
        self.proofs.update_many(wanted, published).await?;
        Ok(())
    }

    /// Notes that a managed certificate wants no proofs any more: they are to be removed.
    pub async fn done(&self, managed: ManagedId) -> Result<(), StorageError> {
        let its = doc! { "managed": managed.to_string(), "state": { "$ne": "done" } };
        let done = vec![doc! { "$set": { "state": "done", "changed_at": "$$NOW" } }];
        self.proofs.update_many(its, done).await?;
        Ok(())
    }

    /// Notes why a zone could not be changed, for those who wait for it.
    pub async fn trouble(&self, ids: &[String], why: &str) -> Result<(), StorageError> {
        let set = doc! { "$set": { "trouble": why } };
        self.proofs
            .update_many(doc! { "_id": { "$in": ids } }, set)
            .await?;
        Ok(())
    }

    /// Forgets proofs that are not there any more, unless somebody wants them anew.
    pub async fn forget(&self, ids: &[String], now: Timestamp) -> Result<(), StorageError> {
        let gone = doc! { "_id": { "$in": ids }, "$or": [
            { "state": "done" },
            { "until": { "$lte": to_bson_time(now) } },
        ] };
        self.proofs.delete_many(gone).await?;
        Ok(())
    }
}
