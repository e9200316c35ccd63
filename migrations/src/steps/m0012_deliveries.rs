//! Where certificates of the fleet go: hosts' agents, targets, and how far each certificate is on its way.

use bson::doc;
use certfleet_storage::collections::{AGENT_SIGHTINGS, AGENTS, PLACEMENTS, TARGETS};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    // A certificate is one agent's.
    let shown = Index::new("shown", doc! { "certificate.fingerprint": 1 })
        .unique()
        .only(doc! { "certificate.fingerprint": { "$exists": true } });
    let next = Index::new("next", doc! { "next.fingerprint": 1 })
        .unique()
        .only(doc! { "next.fingerprint": { "$exists": true } });
    let pending = Index::new("pending", doc! { "agent": 1, "next_at": 1 })
        .only(doc! { "next_at": { "$type": "date" } });
    let managed = Index::new("managed", doc! { "managed": 1, "target": 1 }).unique();
    // No two certificates lie in the same files.
    let place = Index::new("place", doc! { "target": 1, "slot": 1 }).unique();
    Step {
        number: 12,
        name: "deliveries",
        operations: vec![
            Operation::CreateCollection(AGENTS),
            Operation::CreateCollection(AGENT_SIGHTINGS),
            Operation::CreateCollection(TARGETS),
            Operation::CreateCollection(PLACEMENTS),
            Operation::CreateIndexes(AGENTS, vec![shown, next]),
            Operation::CreateIndexes(PLACEMENTS, vec![pending, managed, place]),
        ],
    }
}
