//! What somebody who may write to the database does to the log, each of which has to be found out, with the first entry
//! that is wrong.

use anyhow::{Context as _, Result, ensure};
use bson::{Bson, Document, doc};
use certfleet_audit::{CheckpointSigner, Hash, Head};
use futures_util::TryStreamExt as _;
use mongodb::{Collection, Database};

use crate::log::Log;
use crate::verify::{verify, whole};

/// What is done.
#[derive(Debug, Clone, Copy)]
enum Tampering {
    Edit,
    Delete,
    Swap,
    Insert,
    DropBlock,
    Rewrite,
    CutTail,
    Append,
    ForgeCheckpoint,
}

impl Tampering {
    const ALL: [Self; 9] = [
        Self::Edit,
        Self::Delete,
        Self::Swap,
        Self::Insert,
        Self::DropBlock,
        Self::Rewrite,
        Self::CutTail,
        Self::Append,
        Self::ForgeCheckpoint,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Edit => "an entry is edited",
            Self::Delete => "an entry is taken out",
            Self::Swap => "two entries are swapped",
            Self::Insert => "an entry is put in",
            Self::DropBlock => "a block is taken out",
            Self::Rewrite => "an entry is edited, the chain made anew",
            Self::CutTail => "the tail is cut, with its head and checkpoints",
            Self::Append => "a block is put after the end",
            Self::ForgeCheckpoint => "a checkpoint is forged",
        }
    }
}

/// Does each, and holds `certfleet audit verify` to find it out; puts all back. Gives what was done and what was said.
pub async fn all_are_found_out(log: &Log) -> Result<Vec<[String; 2]>> {
    let mut told = Vec::new();
    for tampering in Tampering::ALL {
        let scene = Scene::of(log).await?;
        let due = scene.carry_out(tampering).await?;
        let said = verify(log, &[]).await?;
        scene.put_back().await?;
        ensure!(said.code == Some(4), "{}: {}", tampering.name(), said.why);
        ensure!(
            said.why.contains(&due),
            "{}: {:?} where {due:?} is due",
            tampering.name(),
            said.why
        );
        let (_, why) = said.why.split_once("with: ").unwrap_or(("", &said.why));
        told.push([tampering.name().to_owned(), why.to_owned()]);
    }
    whole(log, &[]).await?;
    Ok(told)
}

/// The last third of the log, as it was.
struct Scene {
    database: Database,
    blocks: Vec<Document>,
    checkpoints: Vec<Document>,
    head: Document,
}

impl Scene {
    async fn of(log: &Log) -> Result<Self> {
        let database = log.space.store.database().clone();
        let from = i64::try_from(log.size * 2 / 3)?;
        let first = collection(&database, "audit_log")
            .find_one(doc! { "_id": { "$lte": from } })
            .sort(doc! { "_id": -1 })
            .await?
            .context("no block")?;
        let from = first.get_i64("_id")?;
        let head = collection(&database, "audit_state")
            .find_one(doc! { "_id": "head" })
            .await?
            .context("no head")?;
        Ok(Self {
            blocks: after(&database, "audit_log", from).await?,
            checkpoints: after(&database, "audit_checkpoints", 0).await?,
            head,
            database,
        })
    }

    /// Gives what has to be said of it.
    async fn carry_out(&self, tampering: Tampering) -> Result<String> {
        let block = &self.blocks[0];
        let first = block.get_i64("_id")?;
        let mut lines: Vec<Bson> = block.get_array("events")?.clone();
        let mut kept = links_of(block)?;
        // Not the first of its block.
        let at = 1;
        let wrong = first + 1;
        match tampering {
            Tampering::Edit => {
                lines[at] = edited(&lines[at])?;
            }
            Tampering::Delete => {
                lines.remove(at);
                kept.remove(at);
            }
            Tampering::Swap => {
                lines.swap(at, at + 1);
                kept.swap(at, at + 1);
            }
            Tampering::Insert => {
                lines.insert(at, edited(&lines[at])?);
                kept.insert(at, kept[at]);
            }
            Tampering::DropBlock => {
                let blocks = collection(&self.database, "audit_log");
                blocks.delete_one(doc! { "_id": first }).await?;
                return Ok(format!("entry {first} is missing"));
            }
            Tampering::Rewrite => return self.rewrite().await,
            Tampering::CutTail => return self.cut().await,
            Tampering::Append => {
                let size = self.head.get_i64("size")?;
                let mut block = block.clone();
                block.insert("_id", size);
                collection(&self.database, "audit_log")
                    .insert_one(block)
                    .await?;
                return Ok(format!("entry {size} is not of the log"));
            }
            Tampering::ForgeCheckpoint => return self.forge().await,
        }
        self.replace(first, &lines, &kept).await?;
        Ok(format!("entry {wrong} was changed"))
    }

    async fn replace(&self, first: i64, lines: &[Bson], kept: &[Hash]) -> Result<()> {
        let bytes: Vec<u8> = kept.iter().flat_map(|link| link.0).collect();
        let kept = bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes,
        };
        let block = doc! { "_id": first, "events": lines, "links": kept };
        let blocks = collection(&self.database, "audit_log");
        let done = blocks.replace_one(doc! { "_id": first }, block).await?;
        ensure!(done.matched_count == 1, "no block {first}");
        Ok(())
    }

    /// Edits an entry and makes every link after it anew, and the head. What was signed is not what there is now.
    async fn rewrite(&self) -> Result<String> {
        let wrong = self.blocks[0].get_i64("_id")? + 1;
        let sizes = self.checkpoints.iter().map(|one| one.get_i64("_id"));
        let sizes: Vec<i64> = sizes.collect::<Result<_, _>>()?;
        let signed = sizes.into_iter().filter(|size| *size <= wrong).max();
        let signed = signed.context("nothing is signed before")?;
        let mut before = None;
        for (place, block) in self.blocks.iter().enumerate() {
            let first = block.get_i64("_id")?;
            let mut lines = block.get_array("events")?.clone();
            let mut kept = links_of(block)?;
            if place == 0 {
                lines[1] = edited(&lines[1])?;
            }
            for (line, link) in lines.iter().zip(&mut kept) {
                let leaf = Hash::leaf(line.as_str().context("a line")?.as_bytes());
                // The very first of the block stays.
                *link = before.map_or(*link, |before| Hash::link(before, leaf));
                before = Some(*link);
            }
            self.replace(first, &lines, &kept).await?;
        }
        let chain = before.context("no entries")?.0.to_vec();
        let chain = bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: chain,
        };
        let state = collection(&self.database, "audit_state");
        state
            .update_one(doc! { "_id": "head" }, doc! { "$set": { "chain": chain } })
            .await?;
        Ok(format!("the log was rewritten: entry {signed}"))
    }

    /// Back to the checkpoint before the last.
    async fn cut(&self) -> Result<String> {
        let old = &self.checkpoints[self.checkpoints.len() - 2];
        let size = old.get_i64("size")?;
        for name in ["audit_log", "audit_checkpoints"] {
            let all = collection(&self.database, name);
            let id = if name == "audit_log" {
                doc! { "$gte": size }
            } else {
                doc! { "$gt": size }
            };
            all.delete_many(doc! { "_id": id }).await?;
        }
        let state = collection(&self.database, "audit_state");
        let head = doc! { "$set": {
            "size": size, "chain": old.get("chain"), "peaks": old.get("peaks"),
        } };
        state.update_one(doc! { "_id": "head" }, head).await?;
        Ok("the log was cut".to_owned())
    }

    /// The last checkpoint, signed by somebody who does not have the key.
    async fn forge(&self) -> Result<String> {
        let pkcs8 = CheckpointSigner::generate().context("no key")?;
        let note = CheckpointSigner::new("certfleet/load", &pkcs8)?.sign(&Head::default());
        let last = self.checkpoints.last().context("no checkpoint")?;
        let all = collection(&self.database, "audit_checkpoints");
        let forged = doc! { "$set": { "note": note } };
        let id = last.get("_id").cloned();
        all.update_one(doc! { "_id": id }, forged).await?;
        Ok("is not signed by the log's key".to_owned())
    }

    async fn put_back(self) -> Result<()> {
        let from = self.blocks[0].get_i64("_id")?;
        for (name, documents) in [
            ("audit_log", &self.blocks),
            ("audit_checkpoints", &self.checkpoints),
        ] {
            let all = collection(&self.database, name);
            let from = if name == "audit_log" { from } else { 0 };
            all.delete_many(doc! { "_id": { "$gte": from } }).await?;
            all.insert_many(documents).await?;
        }
        let state = collection(&self.database, "audit_state");
        let done = state
            .replace_one(doc! { "_id": "head" }, &self.head)
            .await?;
        ensure!(done.matched_count == 1, "no head");
        Ok(())
    }
}

fn collection(database: &Database, name: &str) -> Collection<Document> {
    database.collection(name)
}

async fn after(database: &Database, name: &str, from: i64) -> Result<Vec<Document>> {
    let found = collection(database, name)
        .find(doc! { "_id": { "$gte": from } })
        .sort(doc! { "_id": 1 })
        .await?;
    Ok(found.try_collect().await?)
}

fn links_of(block: &Document) -> Result<Vec<Hash>> {
    let bytes = block.get_binary_generic("links")?;
    Hash::all_of(bytes).context("links of 32 bytes")
}

fn edited(line: &Bson) -> Result<Bson> {
    let line = line.as_str().context("a line")?;
    let edited = line.replace("\"done\"", "\"refused\"");
    ensure!(edited != line, "{line}");
    Ok(edited.into())
}
