//! The steps, in order. To change the schema, add a file and a line here.

mod m0001_collections;

use crate::step::Step;

/// All steps that this build knows, by number.
pub(crate) fn all() -> Vec<Step> {
    vec![m0001_collections::step()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_one_without_gaps() {
        let numbers: Vec<i32> = all().iter().map(|step| step.number).collect();
        let due: Vec<i32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, due);
    }

    /// A released step must not change: databases have it on record. If this fails, put the change into a new step.
    #[test]
    fn released_steps_are_as_they_were() {
        let checksums: Vec<String> = all().iter().map(|step| step.checksum().unwrap()).collect();
        assert_eq!(checksums, ["?"]);
    }
}
