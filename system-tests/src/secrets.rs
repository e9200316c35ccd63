//! The secrets in the database, opened with the KEK as a worker would, to know what must not be found elsewhere.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bson::doc;
use certfleet_secrets::{Keyring, Place, Purpose, Sealed, Secret, read_kek_file};

use crate::Cluster;

const COLLECTION: &str = "secrets";
const FIELD: &str = "sealed";

impl Cluster {
    /// Every secret by its name.
    pub async fn opened_secrets(&self) -> Result<Vec<(String, Secret)>> {
        let keyring = Keyring::new(Arc::new(read_kek_file(self.kek_file())?), Vec::new())?;
        let mut opened = Vec::new();
        for document in self.database().await?.find(COLLECTION, doc! {}).await? {
            let name = document.get_str("_id").context("secrets: _id")?.to_owned();
            let sealed = Sealed::from_bytes(document.get_binary_generic(FIELD)?.clone())?;
            let place = Place::new(self.database_name(), COLLECTION, name.clone(), FIELD);
            let secret = keyring.open(&place, &sealed, Purpose::ProveKek).await?;
            opened.push((name, secret));
        }
        Ok(opened)
    }
}
