//! Secrets by their name alone.

use certfleet_storage::collections::SECRETS;

use crate::operation::Operation;
use crate::step::Step;

pub(super) fn step() -> Step {
    // The gates say which KEKs are in use. The index by KEK was a quarter of what a secret that is sealed anew cost the
    // servers; replicas of the former build do without it, by a search.
    Step {
        number: 11,
        name: "secrets",
        operations: vec![Operation::DropIndex(SECRETS, "kek")],
    }
}
