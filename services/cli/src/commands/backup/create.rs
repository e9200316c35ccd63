//! A backup is written.

use std::path::{Path, PathBuf};

use certfleet_audit::Act;
use certfleet_backup::{Manifest, create};
use certfleet_storage::{Store, Unit};
use serde::Serialize;
use tokio::time::Instant;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, progress};

#[derive(Serialize)]
struct Created {
    file: PathBuf,
    octets: u64,
    seconds: f64,
    documents: u64,
    manifest: Manifest,
}

/// Writes it.
pub async fn run(file: &Path, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let began = Instant::now();
    let manifest = write(file, config).await?;
    let created = Created {
        file: file.to_owned(),
        octets: std::fs::metadata(file)?.len(),
        seconds: began.elapsed().as_secs_f64(),
        documents: manifest.documents(),
        manifest,
    };
    out.show(&created, |sheet| {
        sheet.line(format_args!(
            "{} documents in {}, {:.1} MB, in {:.1} s. Keep the KEK elsewhere: without it, none of the secrets opens",
            created.documents,
            file.display(),
            megabytes(created.octets),
            created.seconds
        ));
        super::write(sheet, &created.manifest);
    })
}

/// Writes it, and says what is in it.
pub async fn write(file: &Path, config: Option<PathBuf>) -> Result<Manifest, Failure> {
    let store = open(config).await?;
    let bar = progress(estimated(&store).await?, "documents");
    // On record before it is begun: whoever breaks it off has read all the same.
    let name = store.database().name();
    let act = Operator::here().event(Act::CreateBackup, format_args!("database/{name}"));
    store.commit(Unit::default().recording(&act)?).await?;
    let version = env!("CARGO_PKG_VERSION");
    let manifest = create(&store, file, version, |read| bar.set_position(read)).await?;
    bar.finish_and_clear();
    Ok(manifest)
}

/// About how many documents there are, by the server's own count.
async fn estimated(store: &Store) -> Result<u64, Failure> {
    let database = store.database();
    let mut all = 0;
    for name in database.list_collection_names().await? {
        let documents = database.collection::<bson::Document>(&name);
        all += documents.estimated_document_count().await?;
    }
    Ok(all)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(octets: u64) -> f64 {
    octets as f64 / 1e6
}
