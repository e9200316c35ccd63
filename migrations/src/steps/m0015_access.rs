//! Projects, tokens and kept answers of the REST API; and the indexes by which an inventory of a million rows is paged through.

use bson::doc;
use certfleet_storage::collections::{
    IDEMPOTENCY, MANAGED, MANAGED_EXPIRING, MANAGED_FAILING, MANAGED_FROM, MANAGED_OF_PROJECT,
    MANAGED_SEARCH, PROJECTS, TOKEN_USES, TOKENS,
};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let expired = Index::new("expired", doc! { "expires_at": 1 }).expire_after_seconds(0);
    let of_project = Index::new(MANAGED_OF_PROJECT, doc! { "project": 1, "_id": 1 });
    let from = Index::new(MANAGED_FROM, doc! { "upstreams": 1, "_id": 1 });
    let search = Index::new(MANAGED_SEARCH, doc! { "search": 1, "_id": 1 });
    let failing = Index::new(MANAGED_FAILING, doc! { "_id": 1, "setback.failures": 1 })
        .only(doc! { "setback.failures": { "$exists": true } });
    let expiring = Index::new(MANAGED_EXPIRING, doc! { "current.not_after": 1, "_id": 1 })
        .only(doc! { "current.not_after": { "$exists": true } });
    let labels = doc! { "$reverseArray": { "$split": ["$$name", "."] } };
    let joined = doc! { "$reduce": {
        "input": labels,
        "initialValue": "",
        "in": { "$cond": [
            { "$eq": ["$$value", ""] },
            "$$this",
            { "$concat": ["$$value", ".", "$$this"] },
        ] },
    } };
    // An IPv4 address stays as it is; so does an IPv6 one, which has no dots.
    let is_address = doc! { "$regexMatch": { "input": "$$name", "regex": "^[0-9.]+$|:" } };
    let key = doc! { "$cond": [is_address, "$$name", joined] };
    let keys = doc! { "$map": { "input": "$names", "as": "name", "in": key } };
    Step {
        number: 15,
        name: "access",
        operations: vec![
            Operation::CreateCollection(PROJECTS),
            Operation::CreateCollection(TOKENS),
            Operation::CreateCollection(TOKEN_USES),
            Operation::CreateCollection(IDEMPOTENCY),
            Operation::CreateIndexes(IDEMPOTENCY, vec![expired]),
            Operation::Fill(
                MANAGED,
                doc! { "search": { "$exists": false } },
                vec![doc! { "$set": { "search": keys } }],
            ),
            Operation::CreateIndexes(MANAGED, vec![of_project, from, search, failing, expiring]),
            // The new one begins with its key.
            Operation::DropIndex(MANAGED, "expires"),
        ],
    }
}
