//! What is due, among ever more that is not: how long it takes to find.

use std::time::Duration;

use anyhow::{Result, ensure};
use bson::{DateTime, Document, doc};
use certfleet_domain::{
    Clock as _, Identifier, Managed, ManagedId, SystemClock, SystemRng, UpstreamName,
};
use certfleet_queue_load::ground::Ground;
use certfleet_storage::Store;
use comfy_table::Table;
use mongodb::Client;
use tokio::time::Instant;

use crate::say;

const MANAGED: &str = "managed_certificates";
/// So many are due each time.
const DUE: u32 = 100;
/// So many documents are inserted at once.
const TOGETHER: u32 = 5000;
const LOOKS: u32 = 50;

/// Measures it.
pub async fn measure(rows: &[u32], table: &mut Table) -> Result<()> {
    table.set_header([
        "managed certificates",
        "find 100 that are due",
        "find that nothing is",
    ]);
    let mut figures = Vec::new();
    Ground::lend(async |ground| {
        let space = ground.space().await?;
        let client = Client::with_uri_str(&space.uri).await?;
        let documents = client
            .database(&space.database)
            .collection::<Document>(MANAGED);
        let model = add_due(&space.store, &documents).await?;
        let mut there = DUE;
        for wanted in rows {
            while there < *wanted {
                let some = TOGETHER.min(wanted - there);
                let batch: Vec<Document> = (0..some)
                    .map(|number| later(&model, there + number))
                    .collect();
                documents.insert_many(batch).await?;
                there += some;
            }
            say(&format!("{there} rows"))?;
            let now = SystemClock.now();
            let found = average(&space.store, now, DUE).await?;
            let nothing = average(&space.store, now - time_long_ago(), 0).await?;
            figures.push([there.to_string(), shown(found), shown(nothing)]);
        }
        Ok(())
    })
    .await?;
    for figure in figures {
        table.add_row(figure);
    }
    Ok(())
}

fn time_long_ago() -> Duration {
    Duration::from_secs(10 * 365 * 86_400)
}

fn shown(took: Duration) -> String {
    format!("{:.2} ms", took.as_secs_f64() * 1000.0)
}

async fn average(store: &Store, now: certfleet_domain::Timestamp, due: u32) -> Result<Duration> {
    let began = Instant::now();
    for _ in 0..LOOKS {
        let found = store.fleet.due(now, DUE.into()).await?;
        ensure!(
            found.len() == usize::try_from(due)?,
            "{} are due",
            found.len()
        );
    }
    Ok(began.elapsed() / LOOKS)
}

/// Adds those that are due; gives one as a document.
async fn add_due(store: &Store, documents: &mongodb::Collection<Document>) -> Result<Document> {
    let upstream: UpstreamName = "own".parse()?;
    let now = SystemClock.now();
    for number in 0..DUE {
        let name: Identifier = format!("due{number}.fleet.test").parse()?;
        let id = ManagedId::generate(&SystemClock, &mut SystemRng);
        let managed = Managed::new(id, vec![name], vec![upstream.clone()], now);
        store.commit(store.fleet.insert(&managed)?).await?;
    }
    let found = documents.find_one(doc! {}).await?;
    found.ok_or_else(|| anyhow::anyhow!("nothing was added"))
}

/// Another, due in a month.
fn later(model: &Document, number: u32) -> Document {
    let mut later = model.clone();
    let at = DateTime::now().timestamp_millis() + 30 * 86_400_000 + i64::from(number);
    later.insert(
        "_id",
        ManagedId::generate(&SystemClock, &mut SystemRng).to_string(),
    );
    later.insert("next_at", DateTime::from_millis(at));
    later
}
