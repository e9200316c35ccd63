//! The supervisor with real mongods and real processes, and what becomes of both when it ends badly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod cluster;
mod interruption;
mod process;
mod replica_set;

use std::path::{Path, PathBuf};

use bson::{Document, doc};
use certfleet_supervisor::{Cluster, Mongo, MongodBinary, MongodOptions, SupervisorError};
use mongodb::Client;
use mongodb::options::{Acknowledgment, WriteConcern};

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.certfleet/tools")
}

async fn mongod() -> MongodBinary {
    MongodBinary::find(None, &tools()).await.unwrap()
}

async fn open(directory: &Path) -> Result<Cluster, SupervisorError> {
    Cluster::open(
        directory,
        Mongo::Own(mongod().await, MongodOptions::default()),
    )
    .await
}

/// Writes a document that a later start should find.
async fn write(uri: &str, name: &str) {
    let client = Client::with_uri_str(uri).await.unwrap();
    client
        .database("kept")
        .collection::<Document>("documents")
        .insert_one(doc! { "name": name })
        .write_concern(
            WriteConcern::builder()
                .w(Acknowledgment::Majority)
                .journal(true)
                .build(),
        )
        .await
        .unwrap();
}

async fn names(uri: &str) -> Vec<String> {
    let client = Client::with_uri_str(uri).await.unwrap();
    let documents = client.database("kept").collection::<Document>("documents");
    let names = documents.distinct("name", doc! {}).await.unwrap();
    names
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// One line, as every error of ours has to be.
fn line(error: &SupervisorError) -> String {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}
