//! A log of a given size, as acts, sequencer and signer make it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use certfleet_audit::{Act, Actor, CheckpointSigner, Event, Sender};
use certfleet_domain::{OrderId, ServerId, SystemClock, SystemRng};
use certfleet_queue_load::ground::Space;
use certfleet_storage::{Store, Unit};
use futures_util::future::try_join_all;
use tempfile::TempDir;
use tokio::time::Instant;

/// How many acts are under way at once.
const TOGETHER: u64 = 1_024;
/// How often it is signed until it has its size.
const SIGNED: u64 = 20;

/// A log, and what was kept of it elsewhere.
pub struct Log {
    /// Its database.
    pub space: Space,
    /// How many entries it has.
    pub size: u64,
    /// Its public key.
    pub key: String,
    /// The last checkpoint, and the one before.
    pub kept: [PathBuf; 2],
    /// Events recorded a second, and numbered a second.
    pub rates: [f64; 2],
    _elsewhere: TempDir,
}

impl Log {
    /// Records, numbers and signs `size` events.
    pub async fn make(space: Space, size: u64) -> Result<Self> {
        let elsewhere = tempfile::Builder::new()
            .prefix("certfleet-kept-")
            .tempdir()?;
        let kept = ["last", "before"].map(|name| elsewhere.path().join(name));
        let pkcs8 = CheckpointSigner::generate().context("no key")?;
        let signer = CheckpointSigner::new("certfleet/load", &pkcs8)?;
        let audit = space.store.audit();
        audit.keep_key(&signer.key()).await?;
        let (mut recorded, mut numbered) = (0.0, 0.0);
        let mut there = 0;
        for part in 1..=SIGNED {
            let began = Instant::now();
            let end = size * part / SIGNED;
            record(&space.store, end - there).await?;
            there = end;
            recorded += began.elapsed().as_secs_f64();
            let began = Instant::now();
            audit.sequence_waiting().await?;
            numbered += began.elapsed().as_secs_f64();
            let head = audit.head().await?;
            let note = signer.sign(&head);
            audit.keep_checkpoint(&note, &head).await?;
            if part + 1 == SIGNED {
                std::fs::write(&kept[1], &note)?;
            }
            std::fs::write(&kept[0], &note)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let events = size as f64;
        Ok(Self {
            size,
            key: signer.key().to_string(),
            kept,
            rates: [events / recorded, events / numbered],
            space,
            _elsewhere: elsewhere,
        })
    }
}

async fn record(store: &Store, count: u64) -> Result<()> {
    let sender = Sender {
        server: ServerId::generate(&SystemClock, &mut SystemRng),
        actor: Actor::Service("load"),
        address: Some([192, 0, 2, 7].into()),
        request: Some("3f2a9c1d5b7e4f608192a3b4c5d6e7f8".to_owned()),
    };
    let mut left = count;
    while left > 0 {
        let some = left.min(TOGETHER);
        let units = (0..some).map(|_| {
            let order = OrderId::generate(&SystemClock, &mut SystemRng);
            let event = Event::new(
                &sender,
                Act::CreateOrder,
                format_args!("order/{order}"),
                &SystemClock,
            );
            Unit::default().recording(&event.with_detail("www.example.org"))
        });
        let units = units.collect::<Result<Vec<Unit>, _>>()?;
        try_join_all(units.into_iter().map(|unit| store.commit(unit))).await?;
        left -= some;
    }
    Ok(())
}
