use certfleet_domain::{SystemRng, Timestamp};
use proptest::prelude::*;
use time::Duration;
use time::macros::datetime;

use super::*;

const NOW: Timestamp = datetime!(2026-08-01 12:00 UTC);
const LIFETIME: Duration = Duration::hours(1);

fn key(id: u8) -> NonceKey {
    NonceKey::new(id, &[id; 32])
}

fn keys() -> NonceKeys {
    NonceKeys::new(key(1), vec![]).unwrap()
}

#[test]
fn what_is_minted_can_be_spent_on_any_replica_with_the_key() {
    let text = keys().mint(NOW, &mut SystemRng);
    assert_eq!(text.len(), 48);
    let here = keys().open(&text, NOW, LIFETIME).unwrap();
    let there = keys().open(&text, NOW + Duration::minutes(1), LIFETIME);
    assert_eq!(there, Ok(here));
    assert_eq!(here.expires_at(), NOW + LIFETIME + CLOCK_TOLERANCE);
}

#[test]
fn ids_differ_and_grow_with_time() {
    let mut ids: Vec<_> = (0..1000)
        .map(|second| {
            let now = NOW + Duration::seconds(second / 10);
            let text = keys().mint(now, &mut SystemRng);
            *keys().open(&text, now, LIFETIME).unwrap().id()
        })
        .collect();
    assert!(ids.is_sorted_by_key(|id| id[..TIME_LEN].to_vec()));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn a_nonce_lives_for_its_lifetime_and_no_longer() {
    let text = keys().mint(NOW, &mut SystemRng);
    let open = |now| keys().open(&text, now, LIFETIME).map(|_| ());
    assert_eq!(open(NOW + LIFETIME - Duration::milliseconds(1)), Ok(()));
    assert_eq!(open(NOW + LIFETIME), Err(NonceError::Expired));
    assert_eq!(open(NOW - CLOCK_TOLERANCE), Ok(()));
    let earlier = NOW - CLOCK_TOLERANCE - Duration::milliseconds(1);
    assert_eq!(open(earlier), Err(NonceError::Ahead));
}

#[test]
fn its_record_outlives_it_on_every_clock() {
    let text = keys().mint(NOW, &mut SystemRng);
    let expires_at = keys().open(&text, NOW, LIFETIME).unwrap().expires_at();
    // The database's clock says that it is time to forget; the slowest replica's is behind it by all it may be.
    let slowest = expires_at - CLOCK_TOLERANCE;
    assert_eq!(
        keys().open(&text, slowest, LIFETIME),
        Err(NonceError::Expired)
    );
}

#[test]
fn keys_rotate_without_losing_a_nonce() {
    let stages = [
        NonceKeys::new(key(1), vec![]).unwrap(),
        NonceKeys::new(key(1), vec![key(2)]).unwrap(),
        NonceKeys::new(key(2), vec![key(1)]).unwrap(),
    ];
    // Replicas are one stage apart at most.
    for (minting, opening) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        let text = stages[minting].mint(NOW, &mut SystemRng);
        let opened = stages[opening].open(&text, NOW, LIFETIME);
        assert!(opened.is_ok(), "{minting} -> {opening}");
    }
    let dropped = NonceKeys::new(key(2), vec![]).unwrap();
    let text = stages[0].mint(NOW, &mut SystemRng);
    assert_eq!(dropped.open(&text, NOW, LIFETIME), Err(NonceError::Forged));
    assert_eq!(
        NonceKeys::new(key(1), vec![key(1)]).unwrap_err(),
        DuplicateNonceKey(1)
    );
}

#[test]
fn another_secret_under_the_same_id_is_forgery() {
    let others = NonceKeys::new(NonceKey::new(1, &[9; 32]), vec![]).unwrap();
    let text = others.mint(NOW, &mut SystemRng);
    assert_eq!(keys().open(&text, NOW, LIFETIME), Err(NonceError::Forged));
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", NonceKeys::new(key(7), vec![key(8)]).unwrap());
    assert_eq!(
        shown,
        "NonceKeys { current: NonceKey(7), accepted: [NonceKey(8)] }"
    );
}

#[test]
fn every_changed_bit_is_found() {
    let text = keys().mint(NOW, &mut SystemRng);
    let octets = base64url::decode(&text).unwrap();
    for bit in 0..octets.len() * 8 {
        let mut changed = octets.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = keys().open(&base64url::encode(changed), NOW, LIFETIME);
        assert_eq!(opened, Err(NonceError::Forged), "bit {bit}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused(text in ".{0,60}", like in "[A-Za-z0-9_-]{48}") {
        prop_assert!(keys().open(&text, NOW, LIFETIME).is_err());
        prop_assert!(keys().open(&like, NOW, LIFETIME).is_err());
    }

    #[test]
    fn no_time_panics(at in -377_705_116_800..253_402_300_799_i64, lifetime in any::<i64>()) {
        let at = Timestamp::from_unix_timestamp(at).unwrap();
        let text = keys().mint(at, &mut SystemRng);
        let _ = keys().open(&text, at, Duration::seconds(lifetime));
        let _ = keys().open(&text, NOW, Duration::seconds(lifetime));
    }
}
