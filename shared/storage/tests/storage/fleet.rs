//! The fleet: what is written is read, what is due is found by what is due, and nobody writes over another.

use certfleet_domain::{
    Advice, Budget, Contact, Current, Identifier, Managed, ManagedId, Reason, RenewalWindow,
    SystemClock, SystemRng, Timestamp, Upstream, UpstreamBinding, UpstreamName, Version, VersionId,
};
use certfleet_storage::collections::MANAGED;
use certfleet_storage::{CommitError, WantedManaged};
use time::Duration;

use crate::entities::now;
use crate::queries::{by_index, profiled};
use crate::support::{Space, space};

fn upstream_name() -> UpstreamName {
    "elsewhere".parse().expect("a name")
}

fn managed(at: Timestamp) -> Managed {
    let id = ManagedId::generate(&SystemClock, &mut SystemRng);
    let names = vec![Identifier::dns("a.example.org").expect("a name")];
    Managed::new(id, names, vec![upstream_name()], at)
}

fn current(version: VersionId, at: Timestamp) -> Current {
    let window = RenewalWindow::over_since(at);
    Current {
        version,
        upstream: upstream_name(),
        cert_id: Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned()),
        serial: "0087654321".to_owned(),
        names: vec![Identifier::dns("a.example.org").expect("a name")],
        not_before: at,
        not_after: at + Duration::days(90),
        advice: Some(Advice {
            window,
            moment: window.draw(&mut SystemRng),
            explanation_url: Some("https://ca.example/why".to_owned()),
        }),
        ask_at: at + Duration::HOUR,
    }
}

async fn store(space: &Space, managed: &Managed) {
    let unit = space.store.fleet.insert(managed).expect("a unit");
    space.store.commit(unit).await.expect("a commit");
}

#[tokio::test]
async fn a_managed_certificate_round_trips_at_every_stage() {
    let space = space().await;
    let fleet = &space.store.fleet;
    let at = now();
    let version = VersionId::generate(&SystemClock, &mut SystemRng);
    let new = managed(at);
    let begun = new
        .clone()
        .begin(Reason::Missing, upstream_name(), version, at)
        .expect("it rests");
    let ordered = begun
        .clone()
        .placed("https://ca.example/order/1".to_owned())
        .expect("it is to be placed");
    let obtained = ordered
        .clone()
        .obtained(current(version, at), at)
        .expect("it is ordered");
    let failed = begun
        .clone()
        .failed("why not".to_owned(), Some(Duration::HOUR), at)
        .expect("it is under way");
    let forced = obtained.clone().force(at);
    for stage in [new, begun, ordered, obtained, failed, forced] {
        let due = Managed {
            id: ManagedId::generate(&SystemClock, &mut SystemRng),
            ..stage
        };
        store(&space, &due).await;
        let found = fleet.managed(due.id).await.expect("a read");
        assert_eq!(found, Some(due));
    }
}

#[tokio::test]
async fn an_authority_and_a_certificate_round_trip() {
    let space = space().await;
    let fleet = &space.store.fleet;
    let commit = async |unit| space.store.commit(unit).await;
    let upstream = Upstream {
        name: upstream_name(),
        project: certfleet_domain::ProjectName::default(),
        directory: "https://ca.example/directory".to_owned(),
        roots: Some("PEM".to_owned()),
        contacts: vec![Contact::parse("mailto:a@example.org").expect("a contact")],
        profile: Some("shortlived".to_owned()),
        binding: Some(UpstreamBinding {
            kid: "ours".to_owned(),
        }),
        budget: Budget::lets_encrypt(),
        account: None,
        created_at: now(),
        version: 0,
    };
    commit(fleet.insert_upstream(&upstream).expect("a unit"))
        .await
        .expect("a commit");
    let twice = commit(fleet.insert_upstream(&upstream).expect("a unit")).await;
    assert!(
        matches!(twice, Err(CommitError::Duplicate { .. })),
        "{twice:?}"
    );
    let found = fleet.upstream(&upstream.name).await.expect("a read");
    assert_eq!(found, Some(upstream.clone()));
    // Of two workers that have joined at once, one writes it down.
    let joined = upstream
        .clone()
        .joined("https://ca.example/account/1".to_owned());
    commit(fleet.update_upstream(&joined).expect("a unit"))
        .await
        .expect("a commit");
    let late = commit(fleet.update_upstream(&joined).expect("a unit")).await;
    assert!(matches!(late, Err(CommitError::Changed { .. })), "{late:?}");

    let version = Version {
        id: VersionId::generate(&SystemClock, &mut SystemRng),
        managed: ManagedId::generate(&SystemClock, &mut SystemRng),
        upstream: upstream_name(),
        chain: "PEM".to_owned(),
        not_before: now(),
        not_after: now() + Duration::days(6),
        created_at: now(),
    };
    commit(fleet.insert_version(&version).expect("a unit"))
        .await
        .expect("a commit");
    let found = fleet.version(version.id).await.expect("a read");
    assert_eq!(found, Some(version.clone()));
    let all = fleet.versions_of(version.managed).await.expect("a read");
    assert_eq!(all, [version]);

    commit(fleet.answer("token", "token.thumbprint", now() + Duration::HOUR))
        .await
        .expect("a commit");
    let answer = fleet.answer_to("token").await.expect("a read");
    assert_eq!(answer.as_deref(), Some("token.thumbprint"));
    assert_eq!(fleet.answer_to("another").await.expect("a read"), None);
}

#[tokio::test]
async fn what_is_due_is_found_and_nothing_else_is_read() {
    const DUE: i64 = 3;
    let space = space().await;
    let at = now();
    for minute in 0..40 {
        store(&space, &managed(at + Duration::minutes(minute - DUE + 1))).await;
    }
    let fleet = &space.store.fleet;
    let operations = profiled(&space, MANAGED, async || {
        let due = fleet.due(at, 100).await.expect("a read");
        assert_eq!(i64::try_from(due.len()), Ok(DUE));
        assert!(due.is_sorted_by_key(|managed| managed.next_at));
    })
    .await;
    by_index(&operations, "next_at", DUE + 1, DUE);
    let all = WantedManaged::All;
    let page = fleet.list(all, None, 30).await.expect("a read");
    let rest = fleet.list(all, page.last().map(|last| last.id), 30).await;
    assert_eq!((page.len(), rest.expect("a read").len()), (30, 10));
}

#[tokio::test]
async fn what_has_expired_and_what_fails_is_counted_by_indexes() {
    let space = space().await;
    let fleet = &space.store.fleet;
    let at = now();
    for number in 0..12 {
        let version = VersionId::generate(&SystemClock, &mut SystemRng);
        let begun = managed(at)
            .begin(Reason::Missing, upstream_name(), version, at)
            .expect("it rests");
        let stage = if number < 2 {
            begun.failed("why not".to_owned(), None, at)
        } else {
            let from = at - Duration::days(if number < 5 { 91 } else { 1 });
            let ordered = begun.placed("https://ca.example/order/1".to_owned());
            ordered.and_then(|ordered| ordered.obtained(current(version, from), from))
        };
        store(&space, &stage.expect("a step")).await;
    }
    for (wanted, index, due) in [
        (WantedManaged::Failing(1), "setback.failures", 2),
        (WantedManaged::Failing(2), "setback.failures", 0),
        (WantedManaged::Expired(at), "current.not_after", 3),
    ] {
        let operations = profiled(&space, MANAGED, async || {
            let count = fleet.count(wanted).await.expect("a count");
            assert_eq!(i64::try_from(count), Ok(due), "{wanted:?}");
        })
        .await;
        by_index(&operations, index, due + 1, due);
        let listed = fleet.list(wanted, None, 50).await.expect("a read");
        assert_eq!(i64::try_from(listed.len()), Ok(due), "{wanted:?}");
    }
}
