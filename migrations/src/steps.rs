//! The steps, in order. To change the schema, add a file and a line here.

mod m0001_collections;
mod m0002_switches;
mod m0003_duties;
mod m0004_queues;
mod m0005_limits;
mod m0006_audit;
mod m0007_keks;
mod m0008_revocation;
mod m0009_eab_keys;
mod m0010_fleet;
mod m0011_secrets;
mod m0012_deliveries;
mod m0013_solvers;
mod m0014_watches;
mod m0015_access;
mod m0016_notices;
mod m0017_versions;
mod m0018_discoveries;

use crate::step::Step;

/// All steps that this build knows, by number.
pub(crate) fn all() -> Vec<Step> {
    vec![
        m0001_collections::step(),
        m0002_switches::step(),
        m0003_duties::step(),
        m0004_queues::step(),
        m0005_limits::step(),
        m0006_audit::step(),
        m0007_keks::step(),
        m0008_revocation::step(),
        m0009_eab_keys::step(),
        m0010_fleet::step(),
        m0011_secrets::step(),
        m0012_deliveries::step(),
        m0013_solvers::step(),
        m0014_watches::step(),
        m0015_access::step(),
        m0016_notices::step(),
        m0017_versions::step(),
        m0018_discoveries::step(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    #[test]
    fn numbers_count_from_one_without_gaps() {
        let numbers: Vec<i32> = all().iter().map(|step| step.number).collect();
        let due: Vec<i32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, due);
    }

    #[test]
    fn each_collection_is_made_by_a_step() {
        let made: Vec<Operation> = all().into_iter().flat_map(|step| step.operations).collect();
        for collection in certfleet_storage::collections::ALL {
            assert!(
                made.contains(&Operation::CreateCollection(collection)),
                "{collection}"
            );
        }
    }

    /// A released step must not change: databases have it on record. If this fails, put the change into a new step.
    #[test]
    fn released_steps_are_as_they_were() {
        let checksums: Vec<String> = all().iter().map(|step| step.checksum().unwrap()).collect();
        assert_eq!(
            checksums,
            [
                "cfdc4b5b96418d92b2c05bce696988f1adb30007428f3c5a6e86cefedcfe90f8",
                "ddea882328959484ffc6b0d076178d1d6229c8819bb3df7d088e939d3ae5c9a7",
                "1cdf6a2bf76f2ffb6324f65d22573fca8162cbc40e278ca9188168bf7f115ab1",
                "a3578f034a9ed959885a368b40beb532556f5faa72ecde7de01d31759fe5535d",
                "4fbb6a04ac223699d5c3c6a78999789adbbc82cbd69e20079bfd48d37e4e7aca",
                "0af67bb1206fe5cce2518a3478616965b3e34e900bd0bcefe062128f956fce11",
                "7a7fc2f0bbb178d0725b0a2adb4dbad9ba9321f6872a7f8070f9605844d17d2e",
                "fe9556059518c455ec70095d45a816a717747537490465ea2dc7d51207dfb6c0",
                "5f98ada043b022053ce53510b7d5031f5b2fd6b4d73d7d0cad5106b47a2fce69",
                "2ba17e723f8e27ae746ea9dd22023c33cff07f7f282f3681beee1670d0c9c766",
                "7faf3576f943afb377f1d3bee3abd4d83f8fe95db687da17a049543c01420690",
                "9173f70b2c3ec6e30c332a51e17ce0cf5a86bca343f69db235f7758f75a8de35",
                "c9e340fd15ac257e3f6a9d89316b08083ed6ea3cea39cbfc076bef4f505561b4",
                "f28e040866c7ec9ad89206aa9aa04033c2e9f3283fabab79b5d62a9031990b99",
                "ca30e5f9df13bcb4f5b9c96f3fdbdc9c31a786e84e895f95784b46000a229011",
                "53390544ada7b04cc6431d43fda6e8233ba959d0d5f8eb990367dce3885de1d5",
                "081cf08431684ca09ca1377c9170cd71aa9c2266e9fca13520528f6c53197f4c",
                "3c716d26f1875f7ab5eacdd0baa0222c53d5f769d9d9036531b6e68801150eeb",
            ]
        );
    }
}
