//! Which buckets are whose: rendezvous hashing of the buckets over the live workers.

use certfleet_domain::ServerId;

use super::BUCKETS;

/// The buckets of `me` among `live`. Every bucket has exactly one owner; when a worker comes or goes, only its own
/// buckets change hands. If `me` is not among the live yet, it has none.
pub(super) fn buckets_of(me: ServerId, live: &[ServerId]) -> Vec<i32> {
    (0..BUCKETS)
        .filter(|bucket| live.iter().max_by_key(|worker| weight(**worker, *bucket)) == Some(&me))
        .collect()
}

fn weight(worker: ServerId, bucket: i32) -> u64 {
    let text = format!("{worker}/{bucket}");
    // FNV-1a, 64 bits, then a finalizer (from SplitMix64), since the texts differ only at their ends.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{SystemClock, SystemRng};

    use super::*;

    #[test]
    fn every_bucket_has_one_owner_and_few_move() {
        let workers: Vec<ServerId> = (0..5)
            .map(|_| ServerId::generate(&SystemClock, &mut SystemRng))
            .collect();
        let mut all: Vec<i32> = workers
            .iter()
            .flat_map(|worker| buckets_of(*worker, &workers))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..BUCKETS).collect::<Vec<_>>());

        let without_last = &workers[..4];
        for worker in without_last {
            let before = buckets_of(*worker, &workers);
            let after = buckets_of(*worker, without_last);
            assert!(
                before.iter().all(|bucket| after.contains(bucket)),
                "a bucket moved between survivors"
            );
        }
    }
}
