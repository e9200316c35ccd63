//! The audit trail: an act and its event are there together or not at all, and of all events there is one chain, whoever
//! numbers them.

use std::collections::BTreeSet;

use certfleet_audit::{Head, Verifier};
use certfleet_jobs::JobKind;
use certfleet_storage::collections::{AUDIT_LOG, AUDIT_OUTBOX};
use certfleet_storage::{CommitError, Sequenced, Store};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use mongodb::bson::{Document, doc};

use crate::jobs::job;
use crate::support::{Space, event, space};

/// Does something that is put on record; gives the record.
async fn act(store: &Store) -> String {
    let event = event();
    let unit = store.jobs.enqueue(&job()).expect("a unit");
    let unit = unit.recording(&event).expect("an event");
    store.commit(unit).await.expect("done");
    event.line().expect("a line")
}

/// Numbers all that there is.
async fn sequence_all(store: &Store) {
    while store.audit().sequence().await.expect("a step") != Sequenced::Nothing {}
}

/// The lines of the log, which is held to be one chain from its beginning to its head.
async fn verified(store: &Store) -> Vec<String> {
    let audit = store.audit();
    let head = audit.head().await.expect("a head");
    let mut verifier = Verifier::new(Head::default(), []);
    let mut lines = Vec::new();
    let mut blocks = audit.blocks_from(0).await.expect("a log");
    while let Some(block) = blocks.try_next().await.expect("a block") {
        let entries = block.events.iter().map(String::as_bytes);
        let taken = verifier.take(block.first, entries, &block.links);
        taken.expect("what follows");
        lines.extend(block.events);
    }
    verifier.end(&head).expect("the end");
    lines
}

fn set(lines: &[String]) -> BTreeSet<&str> {
    lines.iter().map(String::as_str).collect()
}

async fn count(space: &Space, collection: &str) -> u64 {
    let count = space.raw(collection).count_documents(doc! {}).await;
    count.expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn four_writers_and_four_sequencers_make_one_chain() {
    const ACTS: usize = 100;
    let space = space().await;
    let writers = join_all((0..4).map(|_| space.another())).await;
    let sequencers = join_all((0..4).map(|_| space.another())).await;
    let write = join_all(writers.iter().map(async |store| {
        let mut lines = Vec::new();
        for _ in 0..ACTS {
            lines.push(act(store).await);
        }
        lines
    }));
    let sequence = join_all(sequencers.iter().map(async |store| {
        let mut steps = 0;
        while store.audit().head().await.expect("a head").size() < 4 * ACTS as u64 {
            let done = store.audit().sequence().await.expect("a step");
            steps += usize::from(matches!(done, Sequenced::Some(_)));
        }
        steps
    }));
    let (written, steps) = tokio::join!(write, sequence);
    let written: Vec<String> = written.into_iter().flatten().collect();
    let lines = verified(&space.store).await;
    assert_eq!(lines.len(), written.len(), "{steps:?}");
    assert_eq!(set(&lines), set(&written));
    assert_eq!(count(&space, AUDIT_OUTBOX).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequencer_that_comes_late_gets_nothing_in() {
    let space = space().await;
    for round in 1..=3 {
        act(&space.store).await;
        let (one, other) = (space.another().await, space.another().await);
        // Whichever is the first at the head stands still before it gets there.
        let paused = doc! { "blockConnection": true, "blockTimeMS": 1_000 };
        let both = async {
            let (one, other) = (one.audit(), other.audit());
            tokio::join!(one.sequence(), other.sequence())
        };
        // The first head is inserted; from then on it is updated.
        let command = if round == 1 { "insert" } else { "update" };
        let (one, other) = space.under(&[command], paused, 1, both).await;
        let mut outcomes = [one.expect("a step"), other.expect("a step")];
        outcomes.sort_by_key(|outcome| *outcome == Sequenced::TooLate);
        assert_eq!(outcomes, [Sequenced::Some(1), Sequenced::TooLate]);
        assert_eq!(verified(&space.store).await.len(), round);
    }
}

#[tokio::test]
async fn a_step_that_is_sent_again_is_taken_once() {
    let space = space().await;
    let mut acts = Vec::new();
    for (command, fault, times) in crate::faults::of_a_transaction() {
        for _ in 0..2 {
            acts.push(act(&space.store).await);
        }
        let audit = space.store.audit();
        let case = format!("{command}: {fault}, {times} times");
        // The first head is inserted, and not updated.
        if command == "update" && acts.len() == 2 {
            sequence_all(&space.store).await;
            acts.push(act(&space.store).await);
            acts.push(act(&space.store).await);
        }
        let step = space
            .under(&[command], fault, times, audit.sequence())
            .await;
        assert_eq!(step.expect(&case), Sequenced::Some(2), "{case}");
        assert_eq!(verified(&space.store).await, acts, "{case}");
        assert_eq!(audit.sequence().await.expect(&case), Sequenced::Nothing);
    }
}

#[tokio::test]
async fn an_act_that_is_not_done_is_not_on_record() {
    let space = space().await;
    let account = crate::entities::account();
    let insert = || space.store.accounts.insert(&account).expect("a unit");
    let first = insert().recording(&event()).expect("an event");
    space.store.commit(first).await.expect("done");
    let again = insert().recording(&event()).expect("an event");
    let refused = space.store.commit(again).await;
    assert!(matches!(refused, Err(CommitError::Duplicate { .. })));
    let (kind, board) = (JobKind::SignCertificate, &space.store.switches);
    assert!(!board.resume(kind, &event()).await.expect("a look"));
    let paused = event();
    board.pause(kind, &paused).await.expect("paused");
    sequence_all(&space.store).await;
    let lines = verified(&space.store).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1], paused.line().expect("a line"));
}

#[tokio::test]
async fn many_events_make_few_documents() {
    let space = space().await;
    let lines = async |store: Store| {
        let mut lines = Vec::new();
        for _ in 0..50 {
            lines.push(act(&store).await);
        }
        lines
    };
    let written = join_all((0..16).map(|_| lines(space.store.clone()))).await;
    let written: Vec<String> = written.into_iter().flatten().collect();
    let outbox = count(&space, AUDIT_OUTBOX).await;
    assert!(outbox < 400, "{outbox} documents for 800 events");
    sequence_all(&space.store).await;
    let found: Vec<Document> = space
        .raw(AUDIT_LOG)
        .find(doc! {})
        .await
        .expect("a log")
        .try_collect()
        .await
        .expect("blocks");
    assert!(found.len() < 20, "{} blocks for 800 events", found.len());
    assert_eq!(set(&verified(&space.store).await), set(&written));
}
