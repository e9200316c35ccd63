use time::Duration;
use time::macros::datetime;

use super::*;
use crate::clock::{ManualClock, SystemRng, Timestamp};
use crate::delivery::Fingerprint;
use crate::ids::{ManagedId, WatchId};

const NOW: Timestamp = datetime!(2026-11-01 12:00 UTC);

fn fingerprint(octet: u8) -> Fingerprint {
    Fingerprint::new([octet; 32])
}

fn expected() -> Expected {
    Expected {
        chain: vec![fingerprint(1), fingerprint(2)],
        former: vec![fingerprint(3)],
        issuer: b"issuer".to_vec(),
        name: "www.example.org".parse().unwrap(),
    }
}

fn served(own: u8) -> Served {
    Served {
        chain: vec![fingerprint(own), fingerprint(2)],
        issuer: b"issuer".to_vec(),
        names: vec!["www.example.org".parse().unwrap()],
        not_after: NOW + Duration::DAY,
    }
}

#[test]
fn what_is_wrong_is_told_by_what_matters_most() {
    let judged = |served: Served| judge(&expected(), &served, NOW);
    assert_eq!(judged(served(1)), None);
    // A root beside it harms nobody.
    let mut more = served(1);
    more.chain.push(fingerprint(9));
    assert_eq!(judged(more), None);
    let mut alone = served(1);
    alone.chain.truncate(1);
    assert_eq!(judged(alone), Some(Drift::IncompleteChain));
    assert_eq!(judged(served(3)), Some(Drift::FormerVersion));
    assert_eq!(judged(served(4)), Some(Drift::OtherCertificate));
    let mut other = served(4);
    other.issuer = b"another".to_vec();
    assert_eq!(judged(other.clone()), Some(Drift::OtherIssuer));
    other.names = vec![
        "example.org".parse().unwrap(),
        "*.www.example.org".parse().unwrap(),
    ];
    assert_eq!(judged(other.clone()), Some(Drift::WrongName));
    other.names = vec!["*.example.org".parse().unwrap()];
    assert_eq!(judged(other.clone()), Some(Drift::OtherIssuer));
    other.not_after = NOW;
    assert_eq!(judged(other), Some(Drift::Expired));
}

fn watch(policy: WatchPolicy) -> Watch {
    let clock = ManualClock::at(NOW);
    Watch::new(
        WatchId::generate(&clock, &mut SystemRng),
        ManagedId::generate(&clock, &mut SystemRng),
        (
            "localhost:443".parse().unwrap(),
            "www.example.org".parse().unwrap(),
        ),
        policy,
        NOW,
    )
}

#[test]
fn a_finding_keeps_the_moment_at_which_it_was_seen_first() {
    let found = |drift: Drift| Some((drift, "detail".to_owned()));
    let later = NOW + Duration::minutes(5);
    let seen = watch(WatchPolicy::Alert).looked(found(Drift::Expired), NOW);
    let again = seen.looked(found(Drift::Expired), later);
    let finding = again.finding.clone().unwrap();
    assert_eq!((finding.first_seen, finding.last_seen), (NOW, later));
    let other = again.looked(found(Drift::Unreachable), later);
    assert_eq!(other.finding.clone().unwrap().first_seen, later);
    assert_eq!(other.looked(None, later).finding, None);
}

#[test]
fn what_can_be_repaired_is_and_not_for_ever() {
    let found = |drift: Drift| Some((drift, "detail".to_owned()));
    let drifted = |policy, drift| watch(policy).looked(found(drift), NOW);
    assert!(!drifted(WatchPolicy::Alert, Drift::OtherCertificate).wants_repair(NOW));
    assert!(!drifted(WatchPolicy::Repair, Drift::Unreachable).wants_repair(NOW));
    assert!(!watch(WatchPolicy::Repair).wants_repair(NOW));
    let drifted = drifted(WatchPolicy::Repair, Drift::FormerVersion);
    assert!(drifted.wants_repair(NOW));
    let repaired = drifted.repaired(NOW);
    assert!(repaired.next_at < NOW + Duration::MINUTE);
    assert!(!repaired.wants_repair(NOW + Duration::minutes(59)));
    assert!(repaired.wants_repair(NOW + Duration::HOUR));
}
