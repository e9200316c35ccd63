//! What relying parties are told of revoked certificates.

use bson::doc;
use certfleet_storage::collections::{
    CERTIFICATES, CERTIFICATES_REVOKED, CERTIFICATES_UNLISTED, CRLS, OCSP_RESPONSES,
};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    // All that a list says of a certificate, so that a shard is read from the index alone; and what the partial indexes
    // are partial by, which the server looks at again.
    let revoked = doc! {
        "issuer": 1, "serial": 1, "state.status": 1, "state.at": 1, "state.reason": 1, "not_after": 1,
    };
    let revoked =
        Index::new(CERTIFICATES_REVOKED, revoked).only(doc! { "state.status": "revoked" });
    let unlisted = Index::new(
        CERTIFICATES_UNLISTED,
        doc! { "issuer": 1, "serial": 1, "unlisted": 1 },
    )
    .only(doc! { "unlisted": true });
    let of_issuer = Index::new("issuer", doc! { "issuer": 1, "renew_at": 1, "shard": 1 });
    let due = Index::new("due", doc! { "renew_at": 1, "next_update": 1 });
    let expired = Index::new("expired", doc! { "next_update": 1 }).expire_after_seconds(0);
    Step {
        number: 8,
        name: "revocation",
        operations: vec![
            Operation::CreateCollection(CRLS),
            Operation::CreateCollection(OCSP_RESPONSES),
            Operation::CreateIndexes(CERTIFICATES, vec![revoked, unlisted]),
            Operation::CreateIndexes(CRLS, vec![of_issuer, due]),
            Operation::CreateIndexes(OCSP_RESPONSES, vec![expired]),
        ],
    }
}
