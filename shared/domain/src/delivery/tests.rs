use proptest::prelude::*;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::clock::{Clock as _, ManualClock, SystemRng, Timestamp};
use crate::ids::{ManagedId, PlacementId, VersionId};

const NOW: Timestamp = datetime!(2026-11-01 12:00 UTC);
const SECOND: Duration = Duration::SECOND;

fn target() -> Target {
    Target {
        name: "web".parse().unwrap(),
        project: crate::ProjectName::default(),
        agent: "host".parse().unwrap(),
        files: vec![TargetFile {
            path: "/etc/tls/{name}.pem".parse().unwrap(),
            content: FileContent::Chain,
            mode: 0o644,
            owner: None,
        }],
        reload: None,
        probe: None,
        created_at: NOW,
        version: 0,
    }
}

fn version() -> VersionId {
    VersionId::generate(&ManualClock::at(NOW), &mut SystemRng)
}

fn placement() -> Placement {
    let clock = ManualClock::at(NOW);
    Placement::new(
        PlacementId::generate(&clock, &mut SystemRng),
        ManagedId::generate(&clock, &mut SystemRng),
        &target(),
        "www.example.org".parse().unwrap(),
        clock.now(),
    )
}

/// Due at this moment, as one that became wanted a [`SETTLE`] before.
fn due_at(at: Timestamp) -> Placement {
    placement().want(version(), at - SETTLE)
}

fn certificate(octet: u8, days: i64) -> AgentCertificate {
    AgentCertificate {
        fingerprint: Fingerprint::new([octet; 32]),
        not_after: NOW + Duration::days(days),
    }
}

#[test]
fn what_is_wanted_is_due_until_it_is_there() {
    let (first, second) = (version(), version());
    let waiting = placement();
    assert_eq!((waiting.status(), waiting.next_at), ("waiting", None));
    let wanted = waiting.want(first, NOW);
    assert_eq!(
        (wanted.status(), wanted.next_at),
        ("due", Some(NOW + SETTLE))
    );
    // Told of a failure and of a success that are another version's, it stays due.
    assert_eq!(wanted.clone().failed(second, "no".to_owned(), NOW), wanted);
    let late = wanted.clone().delivered(second, true, NOW);
    assert_eq!((late.status(), late.next_at), ("due", Some(NOW + SETTLE)));
    let failed = wanted.failed(first, "no".to_owned(), NOW);
    assert_eq!(
        (failed.status(), failed.next_at),
        ("failing", Some(NOW + Duration::MINUTE))
    );
    let placed = failed.clone().delivered(first, true, NOW);
    assert_eq!(
        (placed.status(), placed.next_at, &placed.setback),
        ("placed", None, &None)
    );
    let told_again = placed.clone().delivered(first, true, NOW + SECOND);
    assert_eq!(told_again, placed);
    // The next version does not wait for the failures of the former.
    assert_eq!(failed.want(second, NOW).next_at, Some(NOW + SETTLE));
    // What is there already is not wanted anew, unless somebody says so.
    assert_eq!(placed.clone().want(first, NOW + SECOND), placed);
    assert_eq!(placed.again(NOW).status(), "due");
    assert_eq!(placement().again(NOW).next_at, None);
}

#[test]
fn what_comes_together_is_delivered_together() {
    assert_eq!(gather(vec![placement()], NOW), Gathering::Nothing);
    let (one, two) = (due_at(NOW), due_at(NOW + 3 * SECOND));
    let both = vec![one.clone(), two.clone()];
    assert_eq!(gather(both.clone(), NOW - SECOND), Gathering::Wait(NOW));
    assert_eq!(gather(both.clone(), NOW), Gathering::Wait(NOW + 3 * SECOND));
    let at = NOW + 3 * SECOND;
    assert_eq!(gather(both.clone(), at), Gathering::Deliver(both));
    // What keeps coming holds up nothing for longer than two minutes.
    let old = due_at(NOW - Duration::minutes(2) + SETTLE);
    let endless = gather(vec![old.clone(), two], NOW);
    assert_eq!(endless, Gathering::Deliver(vec![old]));
    // What is due much later is not waited for.
    let much_later = due_at(NOW + Duration::HOUR);
    assert_eq!(
        gather(vec![one.clone(), much_later], NOW),
        Gathering::Deliver(vec![one])
    );
}

#[test]
fn what_fails_again_and_again_fails_nothing_else() {
    let suspect = |at: Timestamp| {
        let due = due_at(NOW);
        let version = due.wanted.unwrap();
        let twice = due.failed(version, "no".to_owned(), NOW);
        let mut twice = twice.failed(version, "no".to_owned(), NOW);
        twice.next_at = Some(at);
        twice
    };
    let (fresh, one, two) = (due_at(NOW), suspect(NOW), suspect(NOW));
    let all = vec![one.clone(), fresh.clone(), two.clone()];
    assert_eq!(gather(all, NOW), Gathering::Deliver(vec![fresh]));
    let suspects = vec![one.clone(), two];
    assert_eq!(gather(suspects, NOW), Gathering::Deliver(vec![one]));
    let later = suspect(NOW + SECOND);
    assert_eq!(gather(vec![later], NOW), Gathering::Wait(NOW + SECOND));
}

proptest! {
    /// Whatever is pending: what is delivered is due, nothing due waits for longer than two minutes and a little behind what
    /// has not failed, and there is always a moment to look again at.
    #[test]
    fn nothing_due_is_forgotten(offsets in proptest::collection::vec(-200i64..200, 0..20)) {
        let pending: Vec<Placement> = offsets
            .iter()
            .map(|offset| due_at(NOW + Duration::seconds(*offset)))
            .collect();
        match gather(pending.clone(), NOW) {
            Gathering::Nothing => prop_assert!(pending.is_empty()),
            Gathering::Wait(until) => {
                prop_assert!(until > NOW);
                let longest = NOW - Duration::minutes(2) + SETTLE;
                prop_assert!(pending.iter().all(|one| one.next_at.unwrap() > longest));
            }
            Gathering::Deliver(due) => {
                prop_assert!(due.iter().all(|one| one.next_at.unwrap() <= NOW));
                let all = pending.iter().filter(|one| one.next_at.unwrap() <= NOW).count();
                prop_assert_eq!(due.len(), all);
            }
        }
    }
}

#[test]
fn a_token_lets_one_in_once_and_that_one_again() {
    let (token, other) = (TokenDigest::new([1; 32]), TokenDigest::new([2; 32]));
    let until = NOW + Duration::HOUR;
    let invited = Agent::invited("host".parse().unwrap(), token, until, NOW);
    let own = certificate(1, 30);
    let enrol =
        |agent: &Agent, token, certificate, now| agent.clone().enrol(token, certificate, now, now);
    assert_eq!(enrol(&invited, other, own, NOW), Err(CannotEnrol::Token));
    assert_eq!(enrol(&invited, token, own, until), Err(CannotEnrol::Over));
    for useless in [certificate(1, 0), certificate(1, 91)] {
        assert_eq!(
            enrol(&invited, token, useless, NOW),
            Err(CannotEnrol::Certificate)
        );
    }
    assert!(!invited.is_shown_by(own.fingerprint, NOW));
    let enrolled = enrol(&invited, token, own, NOW).unwrap();
    assert!(enrolled.is_shown_by(own.fingerprint, NOW));
    assert!(!enrolled.is_shown_by(own.fingerprint, own.not_after));
    // The answer was lost: it asks again, and another with the same token does not get in.
    assert_eq!(enrol(&enrolled, token, own, NOW), Ok(enrolled.clone()));
    assert_eq!(
        enrol(&enrolled, token, certificate(3, 30), NOW),
        Err(CannotEnrol::Token)
    );
    let again = enrolled.invite_again(other, until);
    assert!(!again.is_shown_by(own.fingerprint, NOW));
}

#[test]
fn an_agent_changes_its_certificate_when_it_shows_the_next() {
    let token = TokenDigest::new([1; 32]);
    let invited = Agent::invited("host".parse().unwrap(), token, NOW + Duration::HOUR, NOW);
    let (former, next, lost) = (certificate(1, 30), certificate(2, 60), certificate(3, 60));
    let refused = invited.clone().announce(next, NOW, NOW);
    assert_eq!(refused, Err(CannotEnrol::NotEnrolled));
    let agent = invited.enrol(token, former, NOW, NOW).unwrap();
    // What it announces twice, because the first answer was lost with the key, it shows the second of.
    let agent = agent.announce(lost, NOW, NOW).unwrap();
    let agent = agent.announce(next, NOW, NOW).unwrap();
    let shown =
        |agent: &Agent| [former, lost, next].map(|one| agent.is_shown_by(one.fingerprint, NOW));
    assert_eq!(shown(&agent), [true, false, true]);
    assert_eq!(agent.shows(former.fingerprint), None);
    let agent = agent.shows(next.fingerprint).unwrap();
    assert_eq!(shown(&agent), [false, false, true]);
    assert_eq!(agent.shows(next.fingerprint), None);
}

#[test]
fn paths_are_absolute_and_go_nowhere_else() {
    for good in ["/etc/tls/{name}.pem", "/x", "/a b/c", "/etc/tls/x-{name}"] {
        good.parse::<PathPattern>().unwrap();
    }
    for bad in [
        "",
        "/",
        "x",
        "/etc/../x",
        "/etc//x",
        "/etc/./x",
        "/etc/x/",
        "/{name}/x",
        "/{name}{name}",
        "/{other}",
        "/a\nb",
        &format!("/{}", "x".repeat(1024)),
    ] {
        assert!(bad.parse::<PathPattern>().is_err(), "{bad:?}");
    }
    let pattern: PathPattern = "/etc/tls/{name}.pem".parse().unwrap();
    let path = |name: &str| pattern.path(&Slot::of(&name.parse().unwrap()));
    assert_eq!(path("*.example.org"), "/etc/tls/_.example.org.pem");
    assert_eq!(path("2001:db8::1"), "/etc/tls/2001_db8__1.pem");
}

#[test]
fn where_something_listens_is_a_host_and_a_port() {
    for good in [
        "localhost:443",
        "127.0.0.1:1",
        "[2001:db8::1]:8443",
        "www.example.org:65535",
    ] {
        assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "localhost",
        "localhost:0",
        ":443",
        "2001:db8::1",
        "a b:1",
        "x:65536",
        "[::1]",
    ] {
        assert!(bad.parse::<Endpoint>().is_err(), "{bad:?}");
    }
}

#[test]
fn fingerprints_are_read_as_they_are_written() {
    let fingerprint = Fingerprint::new([0xa5; 32]);
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    for bad in [
        "",
        "a5",
        &fingerprint.to_string().to_uppercase(),
        &"é".repeat(32),
    ] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad:?}");
    }
}
