//! Where certificates of the fleet go: what is written is read, no two certificates have the same place, no two agents the same
//! certificate, and what is due on a host is found by that.

use certfleet_domain::{
    Agent, AgentCertificate, AgentState, FileContent, Fingerprint, ManagedId, Placement,
    PlacementId, SystemClock, SystemRng, Target, TargetFile, TokenDigest, VersionId,
};
use certfleet_storage::collections::{AGENTS, PLACEMENTS};
use certfleet_storage::{CommitError, Unit};
use time::Duration;

use crate::entities::now;
use crate::queries::{by_index, profiled};
use crate::support::{Space, space};

fn target(name: &str) -> Target {
    Target {
        name: name.parse().expect("a name"),
        agent: "host".parse().expect("a name"),
        files: vec![TargetFile {
            path: "/etc/tls/{name}.pem".parse().expect("a path"),
            content: FileContent::ChainAndKey,
            mode: 0o640,
            owner: Some("root:www-data".to_owned()),
        }],
        reload: Some("reload".parse().expect("a name")),
        probe: Some("localhost:443".parse().expect("an endpoint")),
        created_at: now(),
        version: 0,
    }
}

fn placement(target: &Target, name: &str) -> Placement {
    Placement::new(
        PlacementId::generate(&SystemClock, &mut SystemRng),
        ManagedId::generate(&SystemClock, &mut SystemRng),
        target,
        name.parse().expect("a name"),
        now(),
    )
}

fn version() -> VersionId {
    VersionId::generate(&SystemClock, &mut SystemRng)
}

fn enrolled(name: &str, octet: u8) -> Agent {
    let certificate = |octet| AgentCertificate {
        fingerprint: Fingerprint::new([octet; 32]),
        not_after: now() + Duration::DAY,
    };
    Agent {
        name: name.parse().expect("a name"),
        state: AgentState::Enrolled {
            certificate: certificate(octet),
            next: Some(certificate(octet + 1)),
        },
        created_at: now(),
        version: 0,
    }
}

async fn commit(space: &Space, unit: Unit) -> Result<(), CommitError> {
    space.store.commit(unit).await
}

#[tokio::test]
async fn agents_targets_and_placements_round_trip_at_every_stage() {
    let space = space().await;
    let deliveries = &space.store.deliveries;
    let invited = Agent::invited(
        "invited".parse().expect("a name"),
        TokenDigest::new([9; 32]),
        now(),
        now(),
    );
    for agent in [invited, enrolled("host", 1)] {
        let unit = deliveries.insert_agent(&agent).expect("a unit");
        commit(&space, unit).await.expect("a commit");
        let found = deliveries.agent(&agent.name).await.expect("a read");
        assert_eq!(found, Some(agent));
    }
    let target = target("web");
    let unit = deliveries.insert_target(&target).expect("a unit");
    commit(&space, unit).await.expect("a commit");
    let found = deliveries.target(&target.name).await.expect("a read");
    assert_eq!(found.as_ref(), Some(&target));

    let (first, at) = (version(), now());
    let new = placement(&target, "a.example.org");
    let wanted = placement(&target, "*.example.org").want(first, at);
    let failed =
        placement(&target, "b.example.org")
            .want(first, at)
            .failed(first, "no".to_owned(), at);
    let placed = placement(&target, "c.example.org")
        .want(first, at)
        .delivered(first, true, at);
    for stage in [new, wanted, failed, placed] {
        let unit = deliveries.insert_placement(&stage).expect("a unit");
        commit(&space, unit).await.expect("a commit");
        let found = deliveries.placement(stage.id).await.expect("a read");
        assert_eq!(found, Some(stage));
    }
    let tally = deliveries.tally().await.expect("a read");
    assert_eq!(tally, [(target.name, 4, 2)]);
}

#[tokio::test]
async fn no_two_certificates_have_the_same_place_and_no_two_agents_the_same_certificate() {
    let space = space().await;
    let deliveries = &space.store.deliveries;
    let (web, other) = (target("web"), target("other"));
    let first = placement(&web, "a.example.org");
    let insert = |placement: &Placement| deliveries.insert_placement(placement).expect("a unit");
    commit(&space, insert(&first)).await.expect("a commit");
    let same_place = commit(&space, insert(&placement(&web, "a.example.org"))).await;
    assert!(
        matches!(same_place, Err(CommitError::Duplicate { .. })),
        "{same_place:?}"
    );
    let twice = Placement {
        managed: first.managed,
        ..placement(&web, "b.example.org")
    };
    let twice = commit(&space, insert(&twice)).await;
    assert!(
        matches!(twice, Err(CommitError::Duplicate { .. })),
        "{twice:?}"
    );
    let elsewhere = commit(&space, insert(&placement(&other, "a.example.org"))).await;
    elsewhere.expect("another place");

    let agent = |name, octet| {
        deliveries
            .insert_agent(&enrolled(name, octet))
            .expect("a unit")
    };
    commit(&space, agent("one", 1)).await.expect("a commit");
    for octet in [1, 2] {
        let shown = Fingerprint::new([octet; 32]);
        let found = deliveries.agent_that_shows(shown).await.expect("a read");
        assert_eq!(
            found.map(|agent| agent.name.to_string()),
            Some("one".to_owned())
        );
    }
    let same = commit(&space, agent("two", 1)).await;
    assert!(
        matches!(same, Err(CommitError::Duplicate { .. })),
        "{same:?}"
    );
}

#[tokio::test]
async fn what_is_due_on_a_host_is_found_by_that_and_a_stranger_by_their_certificate() {
    let space = space().await;
    let deliveries = &space.store.deliveries;
    let web = target("web");
    let due = placement(&web, "due.example.org").want(version(), now());
    let placed = (0..50).map(|number| placement(&web, &format!("n{number}.example.org")));
    let unit = placed
        .chain([due.clone()])
        .fold(Unit::default(), |unit, one| {
            unit.and(deliveries.insert_placement(&one).expect("a unit"))
        });
    commit(&space, unit).await.expect("a commit");
    let asked = profiled(&space, PLACEMENTS, async || {
        let found = deliveries.pending(&web.agent, 1000).await.expect("a read");
        assert_eq!(found, [due]);
    });
    by_index(&asked.await, "{ agent: 1, next_at: 1 }", 2, 1);

    let agent = deliveries
        .insert_agent(&enrolled("host", 1))
        .expect("a unit");
    commit(&space, agent).await.expect("a commit");
    let asked = profiled(&space, AGENTS, async || {
        let stranger = Fingerprint::new([7; 32]);
        let found = deliveries.agent_that_shows(stranger).await.expect("a read");
        assert_eq!(found, None);
    });
    by_index(&asked.await, "fingerprint: 1 }", 0, 0);
}
