//! Where certificates of the fleet go: what is written is read, no two certificates have the same place, no two agents the same
//! certificate, and what is due on a host is found by that.

use certfleet_domain::{
    Agent, AgentCertificate, AgentState, DnsProof, Drift, FileContent, Fingerprint, ManagedId,
    Placement, PlacementId, ProjectName, ProofState, SystemClock, SystemRng, Target, TargetFile,
    TokenDigest, VersionId, Watch, WatchId, WatchPolicy,
};
use certfleet_storage::collections::{AGENTS, PLACEMENTS, WATCHES};
use certfleet_storage::{CommitError, Unit};
use time::Duration;

use crate::entities::now;
use crate::queries::{by_index, profiled};
use crate::support::{Space, space};

fn target(name: &str) -> Target {
    Target {
        name: name.parse().expect("a name"),
        project: ProjectName::default(),
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
        project: ProjectName::default(),
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

#[tokio::test]
async fn what_is_served_is_known_and_counted_with_the_rest_of_the_fleet() {
    let space = space().await;
    let (watches, deliveries) = (&space.store.watches, &space.store.deliveries);
    let at = now();
    let watch = |port: u16| {
        let endpoint = format!("localhost:{port}").parse().expect("an endpoint");
        Watch::new(
            WatchId::generate(&SystemClock, &mut SystemRng),
            ManagedId::generate(&SystemClock, &mut SystemRng),
            (endpoint, "www.example.org".parse().expect("a name")),
            WatchPolicy::Repair,
            at,
        )
    };
    let drifted = |port| watch(port).looked(Some((Drift::Expired, "so".to_owned())), at);
    let stages = [
        watch(1),
        watch(2).looked(None, at),
        drifted(3).repaired(at),
        drifted(4),
    ];
    for stage in &stages {
        let unit = watches.insert(stage).expect("a unit");
        commit(&space, unit).await.expect("a commit");
        let found = watches.find(stage.id).await.expect("a read");
        assert_eq!(found.as_ref(), Some(stage));
    }
    let twice = Watch {
        id: WatchId::generate(&SystemClock, &mut SystemRng),
        ..stages[0].clone()
    };
    let twice = commit(&space, watches.insert(&twice).expect("a unit")).await;
    assert!(
        matches!(twice, Err(CommitError::Duplicate { .. })),
        "{twice:?}"
    );
    let asked = profiled(&space, WATCHES, async || {
        let found = watches.findings(10).await.expect("a read");
        assert_eq!(found, stages[2..]);
        let due = watches.due(at, 10).await.expect("a read");
        assert_eq!(due, stages[..1]);
    });
    by_index(&asked.await, "IXSCAN", 2, 2);

    let due = placement(&target("web"), "a.example.org").want(version(), at);
    let unit = deliveries.insert_placement(&due).expect("a unit");
    commit(&space, unit).await.expect("a commit");
    let there = space.store.totals().fleet(at).await.expect("a count");
    assert_eq!(
        (there.managed, there.expired, there.failing, there.pending),
        (0, 0, 0, 1)
    );
    assert_eq!(there.drifted.get("expired"), Some(&2));
    assert_eq!(there.drifted.len(), Drift::ALL.len());
}

#[tokio::test]
async fn a_proof_is_wanted_published_and_done_once_however_often_that_is_said() {
    let space = space().await;
    let solvers = &space.store.solvers;
    let managed = ManagedId::generate(&SystemClock, &mut SystemRng);
    let at = now();
    let proof = DnsProof {
        solver: "zone".parse().expect("a name"),
        name: "_acme-challenge.example.org".to_owned(),
        text: "$text".to_owned(),
        state: ProofState::Wanted,
        managed,
        changed_at: at,
        until: at + Duration::HOUR,
        trouble: None,
    };
    let ids = [proof.id()];
    let state = async || {
        let found = solvers.proofs_of(managed).await.expect("a read");
        found.first().map(|found| found.state)
    };
    let want = async || {
        commit(&space, solvers.want(&proof))
            .await
            .expect("a commit");
    };
    want().await;
    want().await;
    assert_eq!(state().await, Some(ProofState::Wanted));
    let pending = solvers.pending(at, 10).await.expect("a read");
    assert_eq!((pending.len(), pending[0].text.as_str()), (1, "$text"));
    solvers.trouble(&ids, "away").await.expect("a write");
    solvers.published(&ids).await.expect("a write");
    // Wanted once more, it is there already.
    want().await;
    assert_eq!(state().await, Some(ProofState::Published));
    assert_eq!(solvers.proofs(&ids).await.expect("a read")[0].trouble, None);
    assert!(solvers.pending(at, 10).await.expect("a read").is_empty());
    // Of a run that stood still: what is published is not forgotten.
    solvers.forget(&ids, at).await.expect("a write");
    assert_eq!(state().await, Some(ProofState::Published));
    solvers.done(managed).await.expect("a write");
    solvers.published(&ids).await.expect("a write");
    assert_eq!(state().await, Some(ProofState::Done));
    // Wanted anew before it is removed: it is to be published again.
    want().await;
    assert_eq!(state().await, Some(ProofState::Wanted));
    let late = solvers
        .pending(at + Duration::HOUR, 10)
        .await
        .expect("a read");
    assert_eq!(late.len(), 1);
    solvers.done(managed).await.expect("a write");
    solvers.forget(&ids, at).await.expect("a write");
    assert_eq!(state().await, None);
}
