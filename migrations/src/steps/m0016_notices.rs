//! What people are told without having asked.

use bson::doc;
use certfleet_storage::collections::{MANAGED, NOTICES};

use crate::operation::{Index, Operation};
use crate::step::Step;

pub(super) fn step() -> Step {
    let told =
        Index::new("told", doc! { "notice_at": 1 }).only(doc! { "notice_at": { "$exists": true } });
    let due =
        Index::new("due", doc! { "next_at": 1 }).only(doc! { "next_at": { "$exists": true } });
    // A year and a month.
    let kept = Index::new("kept", doc! { "created_at": 1 }).expire_after_seconds(34_214_400);
    let life = doc! { "$subtract": ["$current.not_after", "$current.not_before"] };
    let third = doc! { "$trunc": { "$divide": [life, 3] } };
    let first =
        doc! { "$subtract": ["$current.not_after", { "$min": [third, 2_505_600_000_i64] }] };
    let without = doc! {
        "current.not_after": { "$exists": true },
        "current.not_before": { "$exists": true },
        "notice_at": { "$exists": false },
    };
    Step {
        number: 16,
        name: "notices",
        operations: vec![
            Operation::CreateCollection(NOTICES),
            Operation::CreateIndexes(NOTICES, vec![due, kept]),
            Operation::Fill(
                MANAGED,
                without,
                vec![doc! { "$set": { "notice_at": first } }],
            ),
            Operation::CreateIndexes(MANAGED, vec![told]),
        ],
    }
}
