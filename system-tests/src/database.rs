//! The documents as they lie in the database, without the product's own reading of them.

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use mongodb::Client;

/// The cluster's database.
#[derive(Debug, Clone)]
pub struct Database(mongodb::Database);

impl Database {
    /// Connects with a majority's view, so that what a client was told is there.
    pub async fn connect(uri: &str, name: &str) -> Result<Self> {
        let client = Client::with_uri_str(uri).await.context("the database")?;
        Ok(Self(client.database(name)))
    }

    /// The documents of a collection that match.
    pub async fn find(&self, collection: &str, filter: Document) -> Result<Vec<Document>> {
        let mut cursor = self
            .0
            .collection::<Document>(collection)
            .find(filter)
            .await?;
        let mut found = Vec::new();
        while cursor.advance().await? {
            found.push(cursor.deserialize_current()?);
        }
        Ok(found)
    }

    /// How many documents of a collection match.
    pub async fn count(&self, collection: &str, filter: Document) -> Result<u64> {
        let documents = self.0.collection::<Document>(collection);
        Ok(documents.count_documents(filter).await?)
    }

    /// How many documents a collection has, by the primary's own count: what is killed may lose count.
    pub async fn counted(&self, collection: &str) -> Result<u64> {
        let documents = self.0.collection::<Document>(collection);
        Ok(documents.estimated_document_count().await?)
    }

    /// Changes the one document that matches, behind the product's back.
    pub async fn change(&self, collection: &str, filter: Document, update: Document) -> Result<()> {
        let documents = self.0.collection::<Document>(collection);
        let changed = documents.update_one(filter, update).await?;
        ensure!(changed.matched_count == 1, "{collection}: nothing matches");
        Ok(())
    }

    /// The address of the member that is the primary.
    pub async fn primary(&self) -> Result<String> {
        let hello = self.0.run_command(doc! { "hello": 1 }).await?;
        Ok(hello.get_str("primary").context("no primary")?.to_owned())
    }

    /// Whether the member at this address (`mongodb://host:port`) is the primary or a secondary at this moment.
    pub async fn is_in_its_set(member: &str) -> bool {
        let uri = format!(
            "{}/?directConnection=true&serverSelectionTimeoutMS=500",
            member.trim_end_matches('/')
        );
        let Ok(client) = Client::with_uri_str(uri).await else {
            return false;
        };
        let admin = client.database("admin");
        let hello = admin.run_command(doc! { "hello": 1 }).await;
        hello.is_ok_and(|hello| {
            let is = |role| hello.get_bool(role).unwrap_or(false);
            is("isWritablePrimary") || is("secondary")
        })
    }

    /// Every document, with the name of its collection.
    pub async fn all(&self) -> Result<Vec<(String, Document)>> {
        let mut all = Vec::new();
        for collection in self.0.list_collection_names().await? {
            for document in self.find(&collection, doc! {}).await? {
                all.push((collection.clone(), document));
            }
        }
        Ok(all)
    }
}
