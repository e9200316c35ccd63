//! The collections, and the indexes that the queries of `certfleet-storage` need.
//!
//! Each index is paid for by every write that touches its keys, so each has its query named here, and what is rare
//! among the documents is indexed by itself. Reads by id need none, nor does what goes by the time in an id: nonces
//! and what is removed by the retention.

use bson::doc;
use certfleet_storage::collections::{
    ACCOUNTS, AUTHORITIES, AUTHORIZATIONS, CERTIFICATES, JOBS, JOBS_FINISHED, LEASES, MIGRATIONS,
    NONCES, ORDERS, PROCESSES, SECRETS,
};

use crate::operation::{Index, Operation};
use crate::step::Step;

const COLLECTIONS: [&str; 11] = [
    ACCOUNTS,
    ORDERS,
    AUTHORIZATIONS,
    CERTIFICATES,
    AUTHORITIES,
    NONCES,
    JOBS,
    LEASES,
    PROCESSES,
    SECRETS,
    MIGRATIONS,
];

const DAY: i32 = 24 * 60 * 60;

pub(super) fn step() -> Step {
    let collections = COLLECTIONS.map(Operation::CreateCollection);
    Step {
        number: 1,
        name: "collections",
        operations: collections.into_iter().chain(indexes()).collect(),
    }
}

fn indexes() -> [Operation; 6] {
    [
        Operation::CreateIndexes(ACCOUNTS, accounts()),
        Operation::CreateIndexes(ORDERS, orders()),
        Operation::CreateIndexes(AUTHORIZATIONS, authorizations()),
        Operation::CreateIndexes(CERTIFICATES, certificates()),
        Operation::CreateIndexes(JOBS, jobs()),
        Operation::CreateIndexes(PROCESSES, processes()),
    ]
}

fn accounts() -> Vec<Index> {
    // A key has one account per authority; every new-account looks its key up here.
    vec![Index::new("key", doc! { "authority": 1, "thumbprint": 1 }).unique()]
}

fn orders() -> Vec<Index> {
    vec![
        // An account's list of orders, page by page. Ids grow with time, so new entries go to the account's end.
        Index::new("account", doc! { "account": 1, "_id": 1 }),
        // The recovery's scan for orders that wait for a signature; an order is in it for the seconds that takes.
        Index::new("processing", doc! { "created_at": 1 })
            .only(doc! { "state.status": "processing" }),
    ]
}

fn authorizations() -> Vec<Index> {
    vec![
        // What may be reused for a new order. Only valid ones are in it; those of the past are passed over by their
        // time, without being read.
        Index::new(
            "valid",
            doc! { "account": 1, "identifier": 1, "expires_at": 1 },
        )
        .only(doc! { "state": "valid" }),
        // The recovery's scan for challenges that wait for their validation; by the time and not by the status, which
        // would put each challenge of an authorization in.
        Index::new("processing", doc! { "created_at": 1 })
            .only(doc! { "challenges.state.status": "processing" }),
    ]
}

fn certificates() -> Vec<Index> {
    vec![
        // Serial numbers are unique (RFC 5280 §4.1.2.2), and what revocation finds a certificate by.
        Index::new("serial", doc! { "serial": 1 }).unique(),
        // One order, one certificate, whatever races; those of our own have no order.
        Index::new("order", doc! { "order": 1 })
            .unique()
            .only(doc! { "order": { "$exists": true } }),
    ]
}

fn jobs() -> Vec<Index> {
    vec![
        // Claims, and the depth of the queue. Finished and dead jobs have no `claimable_at` and are not in it.
        Index::new("claimable", doc! { "bucket": 1, "claimable_at": 1 })
            .only(doc! { "claimable_at": { "$exists": true } }),
        // Finished jobs are kept for a while, for those who ask what became of one; the scheduler's settings say for how
        // long. Dead ones stay.
        Index::new(JOBS_FINISHED, doc! { "finished_at": 1 })
            .only(doc! { "finished_at": { "$exists": true } })
            .expire_after_seconds(DAY),
    ]
}

fn processes() -> Vec<Index> {
    // Processes that went without a word are forgotten after a week. There is a handful of documents.
    vec![Index::new("seen", doc! { "last_seen": 1 }).expire_after_seconds(7 * DAY)]
}
