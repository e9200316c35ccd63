//! The inventory, page by page: each page by one index, in its order, without sorting; nothing twice, nothing left out.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use certfleet_domain::{
    Current, Identifier, Managed, ManagedId, ManualClock, ProjectName, Sight, SystemClock,
    SystemRng, Timestamp, UpstreamName, VersionId,
};
use certfleet_storage::collections::MANAGED;
use certfleet_storage::{Store, Which};
use mongodb::bson::doc;
use time::Duration;

use crate::entities::now;
use crate::queries::{by_index, profiled};
use crate::support::{Space, space};

fn upstream(name: &str) -> UpstreamName {
    name.parse().expect("a name")
}

/// Each is younger than the one before, by its id too.
fn managed(names: &[&str]) -> Managed {
    static MADE: AtomicI64 = AtomicI64::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let clock = ManualClock::at(now() + Duration::seconds(made));
    let id = ManagedId::generate(&clock, &mut SystemRng);
    let names = names.iter().map(|name| name.parse().expect("a name"));
    Managed::new(id, names.collect(), vec![upstream("first")], now())
}

fn with_certificate(managed: Managed, not_after: Timestamp) -> Managed {
    let current = Current {
        version: VersionId::generate(&SystemClock, &mut SystemRng),
        upstream: upstream("first"),
        cert_id: None,
        serial: "01".to_owned(),
        names: managed.names.clone(),
        not_before: not_after - Duration::days(90),
        not_after,
        advice: None,
        ask_at: not_after,
    };
    Managed {
        current: Some(current),
        ..managed
    }
}

async fn stored(space: &Space, all: &[Managed]) {
    for managed in all {
        let unit = space.store.fleet.insert(managed).expect("a unit");
        space.store.commit(unit).await.expect("a commit");
    }
}

/// All pages of two.
async fn pages_added(store: &Store, which: &Which) -> Vec<ManagedId> {
    let mut all: Vec<ManagedId> = Vec::new();
    loop {
        let page = store.inventory.added(which, all.last().copied(), 2).await;
        let page = page.expect("a page");
        all.extend(page.iter().map(|managed| managed.id));
        if page.len() < 2 {
            return all;
        }
    }
}

async fn pages_below(store: &Store, name: &str, which: &Which) -> Vec<ManagedId> {
    let name: Identifier = name.parse().expect("a name");
    let mut all: Vec<(String, ManagedId)> = Vec::new();
    loop {
        let after = all.last().map(|(key, id)| (key.as_str(), *id));
        let page = store.inventory.named(&name, which, after, 2).await;
        let page = page.expect("a page");
        let full = page.len() == 2;
        all.extend(page.into_iter().map(|(key, managed)| (key, managed.id)));
        if !full {
            return all.into_iter().map(|(_, id)| id).collect();
        }
    }
}

fn of_projects(names: &[&str]) -> Which {
    let projects: BTreeSet<ProjectName> = names
        .iter()
        .map(|name| name.parse().expect("a name"))
        .collect();
    Which {
        sight: Sight::Of(projects),
        ..Which::all()
    }
}

#[tokio::test]
async fn pages_have_each_certificate_once_by_what_is_asked_of_it() {
    let space = space().await;
    let web: ProjectName = "web".parse().expect("a name");
    let at = now();
    let one = managed(&["a.example.org"]);
    let two = managed(&["b.example.org"]).in_project(web);
    let three = Managed {
        upstreams: vec![upstream("second"), upstream("first")],
        ..managed(&["c.example.org"])
    };
    let four = managed(&["d.example.org"]).given_up("why not".to_owned(), at);
    let late = with_certificate(managed(&["e.example.org"]), at + Duration::days(9));
    let soon = with_certificate(managed(&["f.example.org"]), at + Duration::days(1));
    let same = with_certificate(managed(&["g.example.org"]), at + Duration::days(1));
    let all = [one, two, three, four, late, soon, same];
    stored(&space, &all).await;
    let [one, two, three, four, late, soon, same] = all.map(|managed| managed.id);
    // What was written before there were projects.
    let managed = space.raw(MANAGED);
    let unset = doc! { "$unset": { "project": "" } };
    let by_id = doc! { "_id": one.to_string() };
    managed.update_one(by_id, unset).await.expect("an update");

    let store = &space.store;
    let every = [one, two, three, four, late, soon, same];
    assert_eq!(pages_added(store, &Which::all()).await, every);
    assert_eq!(pages_added(store, &of_projects(&["web"])).await, [two]);
    let rest = [one, three, four, late, soon, same];
    assert_eq!(pages_added(store, &of_projects(&["default"])).await, rest);
    let both = of_projects(&["default", "web"]);
    assert_eq!(pages_added(store, &both).await, every);
    assert!(pages_added(store, &of_projects(&[])).await.is_empty());
    let from_second = Which {
        upstream: Some(upstream("second")),
        ..Which::all()
    };
    assert_eq!(pages_added(store, &from_second).await, [three]);
    let failing = Which {
        failing: true,
        ..Which::all()
    };
    assert_eq!(pages_added(store, &failing).await, [four]);

    let expiring = async |which: &Which, after| {
        let page = store.inventory.expiring(which, after, 2).await;
        let page = page.expect("a page").into_iter();
        page.map(|managed| managed.id).collect::<Vec<_>>()
    };
    assert_eq!(expiring(&Which::all(), None).await, [soon, same]);
    let end = at + Duration::days(1);
    let next = expiring(&Which::all(), Some((end, soon))).await;
    assert_eq!(next, [same, late]);
    let before = Which {
        expires_before: Some(at + Duration::days(2)),
        ..Which::all()
    };
    let next = expiring(&before, Some((end, soon))).await;
    assert_eq!(next, [same]);
    assert_eq!(pages_added(store, &before).await, [soon, same]);
}

#[tokio::test]
async fn names_below_a_name_are_found_once_and_no_others() {
    let space = space().await;
    let older = managed(&["a.example.org"]);
    let several = managed(&["a.example.org", "z.example.org", "example.org"]);
    let wildcard = managed(&["*.b.example.org"]);
    let same = managed(&["a.example.org"]);
    let other = managed(&["example.org.example.net", "a-example.org", "192.0.2.1"]);
    let dashed = managed(&["example.org-x.example"]);
    let all = [several, wildcard, same, other, dashed, older];
    stored(&space, &all).await;
    let [several, wildcard, same, other, _, older] = all.map(|managed| managed.id);
    let store = &space.store;
    let which = Which::all();
    let found = pages_below(store, "example.org", &which).await;
    assert_eq!(found, [several, older, same, wildcard]);
    let found = pages_below(store, "a.example.org", &which).await;
    assert_eq!(found, [older, several, same]);
    assert_eq!(pages_below(store, "example.net", &which).await, [other]);
    assert_eq!(
        pages_below(store, "b.example.org", &which).await,
        [wildcard]
    );
    assert_eq!(pages_below(store, "192.0.2.1", &which).await, [other]);
    let exact = pages_below(store, "*.b.example.org", &which).await;
    assert_eq!(exact, [wildcard]);
    assert!(pages_below(store, "le.org", &which).await.is_empty());
    let web = of_projects(&["web"]);
    assert!(pages_below(store, "example.org", &web).await.is_empty());
}

#[tokio::test]
async fn a_page_reads_as_much_as_it_has_whatever_there_is() {
    let space = space().await;
    let at = now();
    let all: Vec<Managed> = (0..60)
        .map(|number| {
            let name = Identifier::dns(&format!("n{number}.example.org")).expect("a name");
            let one = Managed {
                names: vec![name],
                ..managed(&[])
            };
            let one = if number % 3 == 0 {
                one.given_up("why not".to_owned(), at)
            } else {
                one
            };
            with_certificate(one, at + Duration::days(number))
        })
        .collect();
    stored(&space, &all).await;
    let store = &space.store;
    let middle = all[30].id;
    let added = async |which: Which, index: &str| {
        let seen = profiled(&space, MANAGED, async || {
            let page = store.inventory.added(&which, Some(middle), 5).await;
            assert_eq!(page.expect("a page").len(), 5);
        });
        by_index(&seen.await, index, 12, 7);
    };
    added(Which::all(), "IXSCAN { _id: 1 }").await;
    added(of_projects(&["default"]), "IXSCAN { project: 1, _id: 1 }").await;
    let from = Which {
        upstream: Some(upstream("first")),
        ..Which::all()
    };
    added(from, "IXSCAN { upstreams: 1, _id: 1 }").await;
    let failing = Which {
        failing: true,
        ..Which::all()
    };
    added(failing, "IXSCAN { _id: 1, setback.failures: 1 }").await;
    let seen = profiled(&space, MANAGED, async || {
        let after = Some((at + Duration::days(30), middle));
        let page = store.inventory.expiring(&Which::all(), after, 5).await;
        assert_eq!(page.expect("a page").len(), 5);
    });
    let index = "IXSCAN { current.not_after: 1, _id: 1 }";
    by_index(&seen.await, index, 12, 7);
    let seen = profiled(&space, MANAGED, async || {
        let name: Identifier = "example.org".parse().expect("a name");
        let page = store.inventory.named(&name, &Which::all(), None, 5).await;
        assert_eq!(page.expect("a page").len(), 5);
    });
    by_index(&seen.await, "IXSCAN { search: 1, _id: 1 }", 12, 7);
}
