//! The audit trail: an act and its event are there together or not at all, and of all events there is one chain, whoever
//! numbers them.

use std::collections::BTreeSet;
use std::time::Duration;

use certfleet_audit::{Act, Checkpoint, CheckpointSigner, Event, Head, Sender, Verifier};
use certfleet_domain::{Clock as _, SystemClock};
use certfleet_jobs::JobKind;
use certfleet_storage::collections::{AUDIT_CHECKPOINTS, AUDIT_LOG, AUDIT_OUTBOX, AUDIT_STATE};
use certfleet_storage::{CommitError, MayGo, Sequenced, Store, Trimmed};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};

use crate::jobs::job;
use tokio::time::sleep;

use crate::support::{PATIENCE, Space, event, server_id, space};

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
    let done = store.audit().sequence_waiting().await;
    done.expect("numbered");
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
            steps += usize::from(done != Sequenced::TooLate);
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
        let (late, early) = (one.audit(), other.audit());
        // The first head is inserted; from then on it is updated.
        let command = if round == 1 { "insert" } else { "update" };
        let overtaken = space.overtaken(command, late.sequence(), early.sequence());
        let (late, early) = Box::pin(overtaken).await;
        assert_eq!(late.expect("a step"), Sequenced::TooLate);
        assert_eq!(early.expect("a step"), Sequenced::All(1));
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
        assert_eq!(step.expect(&case), Sequenced::All(2), "{case}");
        assert_eq!(verified(&space.store).await, acts, "{case}");
        assert_eq!(audit.sequence().await.expect(&case), Sequenced::All(0));
    }
}

/// So that a transaction stays short whatever has piled up, and a run ends though acts never do.
#[tokio::test]
async fn a_step_is_bounded_and_says_whether_more_were_waiting() {
    let space = space().await;
    let outbox = space.raw(AUDIT_OUTBOX);
    for _ in 0..5 {
        let lines: Vec<String> = (0..1_000)
            .map(|_| event().line().expect("a line"))
            .collect();
        let waiting = doc! { "_id": ObjectId::new(), "events": lines };
        outbox.insert_one(waiting).await.expect("written");
    }
    let audit = space.store.audit();
    for due in [
        Sequenced::Some(3_000),
        Sequenced::All(2_000),
        Sequenced::All(0),
    ] {
        assert_eq!(audit.sequence().await.expect("a step"), due);
    }
    assert_eq!(verified(&space.store).await.len(), 5_000);
}

/// Or nothing would ever be signed where there is always something to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_though_acts_never_do() {
    let space = space().await;
    let writers = join_all((0..8).map(|_| space.another())).await;
    let acting = join_all(writers.iter().map(async |store| {
        loop {
            act(store).await;
        }
    }));
    let runs = async {
        let mut size = 0;
        while size < 1_000 {
            sequence_all(&space.store).await;
            size = space.store.audit().head().await.expect("a head").size();
        }
    };
    tokio::select! {
        () = runs => {}
        _ = acting => {}
        () = sleep(PATIENCE) => panic!("the run follows the acts for ever"),
    }
}

#[tokio::test]
async fn of_two_keys_and_of_two_checkpoints_the_first_is_kept() {
    let space = space().await;
    let audit = space.store.audit();
    let signer = || {
        let key = CheckpointSigner::generate().expect("a key");
        CheckpointSigner::new("certfleet/test", &key).expect("a key")
    };
    let (one, other) = (signer(), signer());
    let kept = audit.keep_key(&one.key()).await.expect("kept");
    assert_eq!(kept, one.key());
    let kept = audit.keep_key(&other.key()).await.expect("a look");
    assert_eq!(kept, one.key());
    act(&space.store).await;
    sequence_all(&space.store).await;
    let head = audit.head().await.expect("a head");
    for signer in [&one, &other] {
        let note = signer.sign(&head);
        audit.keep_checkpoint(&note, &head).await.expect("kept");
    }
    let last = audit.last_checkpoint().await.expect("a look");
    assert_eq!(last.expect("one").note, one.sign(&head));
}

#[tokio::test]
async fn a_switch_that_is_sent_again_is_on_record_once() {
    let space = space().await;
    let (kind, board) = (JobKind::SignCertificate, &space.store.switches);
    let mut records = Vec::new();
    for (command, fault, times) in crate::faults::of_a_transaction() {
        let case = format!("{command}: {fault}, {times} times");
        let event = event();
        let pause = board.pause(kind, &event);
        let paused = space.under(&[command], fault, times, pause).await;
        paused.unwrap_or_else(|error| panic!("{case}: {error}"));
        records.push(event.line().expect("a line"));
        sequence_all(&space.store).await;
        assert_eq!(verified(&space.store).await, records, "{case}");
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

/// As if what was noted then had been noted a minute ago.
async fn a_minute_passes(space: &Space) {
    let state = space.raw(AUDIT_STATE);
    let earlier = doc! { "$set": {
        "marked_at": { "$subtract": ["$marked_at", 60_000] },
    } };
    state
        .update_one(doc! { "_id": "forwarded/siem" }, vec![earlier])
        .await
        .expect("an answer");
}

#[tokio::test]
async fn after_trouble_a_receiver_gets_again_what_it_may_have_had_in_memory() {
    let space = space().await;
    let audit = space.store.audit();
    let next = async || audit.forwarded("siem").await.expect("an answer").next;
    let forward = async |from, to| audit.forward("siem", from, to).await.expect("an answer");
    let again = async |from| {
        let answer = audit.forward_again("siem", from, "refused").await;
        answer.expect("an answer")
    };
    assert_eq!(next().await, 0);
    assert!(audit.receivers().await.expect("an answer").is_empty());

    assert!(forward(0, 10).await);
    // Another was faster, or it is one that was paused.
    assert!(!forward(0, 5).await);
    assert!(!again(0).await);
    assert_eq!(next().await, 10);
    assert!(forward(10, 20).await);
    a_minute_passes(&space).await;
    // The ten that were there a minute ago are settled now; what is marked is settled in a while.
    assert!(forward(20, 30).await);
    assert!(forward(30, 40).await);
    assert!(again(40).await);
    let told = audit.forwarded("siem").await.expect("an answer");
    assert_eq!((told.next, told.trouble.as_deref()), (10, Some("refused")));
    // More trouble takes nothing more away, and what was marked before counts no more: it is sent anew.
    assert!(again(10).await);
    a_minute_passes(&space).await;
    assert!(forward(10, 15).await);
    assert!(again(15).await);
    assert_eq!(next().await, 10);
    assert!(forward(10, 20).await);
    let told = audit.forwarded("siem").await.expect("an answer");
    assert_eq!((told.next, told.trouble), (20, None));
    assert_eq!(audit.receivers().await.expect("an answer"), ["siem"]);
}

/// A log's key, and what it signs of the log as it is now.
struct Signs(CheckpointSigner);

impl Signs {
    async fn new(store: &Store) -> Self {
        let secret = CheckpointSigner::generate().expect("a key");
        let signer = CheckpointSigner::new("certfleet/test", &secret).expect("a signer");
        let kept = store.audit().keep_key(&signer.key()).await;
        kept.expect("kept");
        Self(signer)
    }

    async fn sign(&self, store: &Store) -> u64 {
        let audit = store.audit();
        let head = audit.head().await.expect("a head");
        let kept = audit.keep_checkpoint(&self.0.sign(&head), &head).await;
        kept.expect("kept");
        head.size()
    }
}

/// So many acts, numbered and signed; gives how many there are by then.
async fn acts(store: &Store, signs: &Signs, many: usize) -> u64 {
    for _ in 0..many {
        act(store).await;
    }
    sequence_all(store).await;
    signs.sign(store).await
}

fn all() -> MayGo {
    MayGo {
        before: SystemClock.now() + Duration::from_secs(3600),
        below: u64::MAX,
    }
}

async fn trim(store: &Store, may_go: MayGo) -> Trimmed {
    let record = |start: &Head| {
        let sender = Sender::service(server_id(), "worker");
        let target = format!("audit/{}", start.size());
        Event::new(&sender, Act::TrimAudit, target, &SystemClock)
    };
    let trimmed = store.audit().trim(may_go, record).await;
    trimmed.expect("an answer")
}

/// What is kept is one chain from the start, for which a checkpoint vouches, to the head.
async fn is_whole(store: &Store, signs: &Signs) -> u64 {
    let audit = store.audit();
    let start = audit.start().await.expect("a start");
    if start.size() > 0 {
        let vouches = audit.checkpoint(start.size()).await.expect("an answer");
        let note = vouches.expect("a checkpoint").note;
        let opened = Checkpoint::open(&note, &signs.0.key()).expect("signed");
        assert_eq!(opened, Checkpoint::of("certfleet/test", &start));
    }
    let begin = start.size();
    let mut verifier = Verifier::new(start, []);
    let mut blocks = audit.blocks_from(begin).await.expect("a log");
    while let Some(block) = blocks.try_next().await.expect("a block") {
        if block.first >= begin {
            let entries = block.events.iter().map(String::as_bytes);
            let taken = verifier.take(block.first, entries, &block.links);
            taken.expect("what follows");
        }
    }
    let head = audit.head().await.expect("a head");
    verifier.end(&head).expect("the end");
    begin
}

#[tokio::test]
async fn whole_ranges_between_checkpoints_go_and_no_more() {
    let space = space().await;
    let store = &space.store;
    assert_eq!(trim(store, all()).await, Trimmed::Nothing);
    let signs = Signs::new(store).await;
    assert_eq!(acts(store, &signs, 5).await, 5);
    assert_eq!(acts(store, &signs, 4).await, 9);
    sleep(Duration::from_millis(5)).await;
    let between = SystemClock.now();
    assert_eq!(acts(store, &signs, 3).await, 12);

    // Nothing is so old; somebody has but a part of the second; and then the second, too.
    let before = |before| MayGo { before, ..all() };
    let long_ago = before(between - Duration::from_secs(3600));
    assert_eq!(trim(store, long_ago).await, Trimmed::Nothing);
    let below = MayGo {
        below: 8,
        ..before(between)
    };
    assert_eq!(trim(store, below).await, Trimmed::To(5));
    assert_eq!(is_whole(store, &signs).await, 5);
    assert_eq!(trim(store, before(between)).await, Trimmed::To(9));
    assert_eq!(trim(store, before(between)).await, Trimmed::Nothing);
    assert_eq!(is_whole(store, &signs).await, 9);
    assert_eq!(count(&space, AUDIT_LOG).await, 1);

    // Both are on record; what is not signed stays.
    sequence_all(store).await;
    assert_eq!(store.audit().head().await.expect("a head").size(), 14);
    assert_eq!(trim(store, all()).await, Trimmed::To(12));
    assert_eq!(trim(store, all()).await, Trimmed::Nothing);
    assert_eq!(is_whole(store, &signs).await, 12);
}

#[tokio::test]
async fn what_is_not_what_was_signed_stays() {
    let space = space().await;
    let store = &space.store;
    let signs = Signs::new(store).await;
    acts(store, &signs, 5).await;
    acts(store, &signs, 4).await;
    let log = space.raw(AUDIT_LOG);
    let second = doc! { "_id": 5_i64 };
    let forged = doc! { "$set": { "events.0": "{\"at\":\"2020-01-01T00:00:00Z\"}" } };
    log.update_one(second, forged).await.expect("forged");
    let refused = trim(store, all()).await;
    assert_eq!(
        refused,
        Trimmed::Refused("entry 5 was changed, replaced or moved".to_owned())
    );
    // A checkpoint that the key has not signed is no reason to remove anything either.
    let checkpoints = space.raw(AUDIT_CHECKPOINTS);
    let forged = doc! { "$set": { "note": "x" } };
    let first = doc! { "_id": 5_i64 };
    checkpoints.update_one(first, forged).await.expect("forged");
    let refused = trim(store, all()).await;
    assert!(matches!(refused, Trimmed::Refused(_)), "{refused:?}");
    assert_eq!(count(&space, AUDIT_LOG).await, 2);
    assert_eq!(store.audit().start().await.expect("a start").size(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_that_let_go_at_once_one_is_on_record_and_the_next_ends_what_one_left() {
    let space = space().await;
    let store = &space.store;
    let signs = Signs::new(store).await;
    acts(store, &signs, 5).await;
    let first: Vec<Document> = space
        .raw(AUDIT_LOG)
        .find(doc! {})
        .await
        .expect("a log")
        .try_collect()
        .await
        .expect("blocks");
    let others = join_all((0..8).map(|_| space.another())).await;
    let trimmed = join_all(others.iter().map(|store| trim(store, all()))).await;
    let done = trimmed.iter().filter(|one| **one == Trimmed::To(5));
    assert_eq!(done.count(), 1, "{trimmed:?}");
    assert_eq!(count(&space, AUDIT_OUTBOX).await, 1);

    // As if it had died before it removed anything.
    let log = space.raw(AUDIT_LOG);
    log.insert_many(&first).await.expect("put back");
    assert_eq!(trim(store, all()).await, Trimmed::Nothing);
    assert_eq!(count(&space, AUDIT_LOG).await, 0);
    acts(store, &signs, 3).await;
    assert_eq!(is_whole(store, &signs).await, 5);
}
