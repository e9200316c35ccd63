//! The fleet: whom it has certificates from, which, and when each is to be looked at.

use bson::doc;
use certfleet_storage::collections::{CHALLENGE_ANSWERS, MANAGED, UPSTREAMS, VERSIONS};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let due = Index::new("due", doc! { "next_at": 1 });
    let names = Index::new("names", doc! { "names": 1 });
    let end = Index::new("expires", doc! { "current.not_after": 1 })
        .only(doc! { "current.not_after": { "$exists": true } });
    let failing = Index::new("failing", doc! { "setback.failures": 1 })
        .only(doc! { "setback.failures": { "$exists": true } });
    let versions = Index::new("managed", doc! { "managed": 1, "_id": 1 });
    let expired = Index::new("expired", doc! { "expires_at": 1 }).expire_after_seconds(0);
    Step {
        number: 10,
        name: "fleet",
        operations: vec![
            Operation::CreateCollection(UPSTREAMS),
            Operation::CreateCollection(MANAGED),
            Operation::CreateCollection(VERSIONS),
            Operation::CreateCollection(CHALLENGE_ANSWERS),
            Operation::CreateIndexes(MANAGED, vec![due, names, end, failing]),
            Operation::CreateIndexes(VERSIONS, vec![versions]),
            Operation::CreateIndexes(CHALLENGE_ANSWERS, vec![expired]),
        ],
    }
}
