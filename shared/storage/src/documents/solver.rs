use std::net::SocketAddr;

use certfleet_domain::{
    DnsName, DnsProof, ManagedId, ProjectName, ProofState, Solver, SolverName, TsigAlgorithm,
};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct SolverDocument {
    #[serde(rename = "_id")]
    name: SolverName,
    #[serde(default)]
    project: ProjectName,
    zone: DnsName,
    server: SocketAddr,
    watched: Vec<SocketAddr>,
    key_name: DnsName,
    algorithm: TsigAlgorithm,
    created_at: bson::DateTime,
    version: i64,
}

impl Stored for Solver {
    const COLLECTION: &'static str = collections::SOLVERS;
    type Document = SolverDocument;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> SolverDocument {
        SolverDocument {
            name: self.name.clone(),
            project: self.project.clone(),
            zone: self.zone.clone(),
            server: self.server,
            watched: self.watched.clone(),
            key_name: self.key_name.clone(),
            algorithm: self.algorithm,
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: SolverDocument) -> Result<Self, String> {
        Ok(Self {
            name: document.name,
            project: document.project,
            zone: document.zone,
            server: document.server,
            watched: document.watched,
            key_name: document.key_name,
            algorithm: document.algorithm,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ProofDocument {
    #[serde(rename = "_id")]
    id: String,
    solver: SolverName,
    name: String,
    text: String,
    state: ProofState,
    managed: ManagedId,
    changed_at: bson::DateTime,
    until: bson::DateTime,
    trouble: Option<String>,
}

impl Stored for DnsProof {
    const COLLECTION: &'static str = collections::DNS_PROOFS;
    type Document = ProofDocument;

    fn id(&self) -> String {
        Self::id(self)
    }

    /// It is written by its state, not by versions.
    fn version(&self) -> i64 {
        0
    }

    fn to_document(&self, _: i64) -> ProofDocument {
        ProofDocument {
            id: Self::id(self),
            solver: self.solver.clone(),
            name: self.name.clone(),
            text: self.text.clone(),
            state: self.state,
            managed: self.managed,
            changed_at: to_bson_time(self.changed_at),
            until: to_bson_time(self.until),
            trouble: self.trouble.clone(),
        }
    }

    fn from_document(document: ProofDocument) -> Result<Self, String> {
        let proof = Self {
            solver: document.solver,
            name: document.name,
            text: document.text,
            state: document.state,
            managed: document.managed,
            changed_at: from_bson_time(document.changed_at),
            until: from_bson_time(document.until),
            trouble: document.trouble,
        };
        if Self::id(&proof) == document.id {
            Ok(proof)
        } else {
            Err("solver, name, text: they are not those of the id".to_owned())
        }
    }
}
