//! Managed certificates, page by page. Each query goes by one index that gives what it wants in the order of the pages, so that
//! a page costs as much among a million as among a thousand.

use std::collections::HashSet;

use bson::{Bson, Document, doc};
use certfleet_domain::{
    Identifier, Managed, ManagedId, ProjectName, Sight, Timestamp, UpstreamName,
};
use futures_util::TryStreamExt;
use mongodb::options::Hint;
use mongodb::{Collection, Database};

use super::all_of;
use crate::collections::{
    MANAGED, MANAGED_EXPIRING, MANAGED_FAILING, MANAGED_FROM, MANAGED_OF_PROJECT, MANAGED_SEARCH,
};
use crate::documents::{decode, search_key, to_bson_time};
use crate::error::StorageError;

/// Which managed certificates: those of which all of this holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// Whose they are.
    pub sight: Sight,
    /// They may be had from this authority.
    pub upstream: Option<UpstreamName>,
    /// They have failed since they were had last.
    pub failing: bool,
    /// They are not valid any more at this moment, or will not be.
    pub expires_before: Option<Timestamp>,
}

/// Managed certificates, page by page.
#[derive(Clone)]
pub struct Inventory {
    managed: Collection<Document>,
}

impl Inventory {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            managed: database.collection(MANAGED),
        }
    }

    /// In the order in which they were added, behind `after`, `most` of them.
    pub async fn added(
        &self,
        which: &Which,
        after: Option<ManagedId>,
        most: i64,
    ) -> Result<Vec<Managed>, StorageError> {
        let mut filter = which.filter();
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": after.to_string() });
        }
        let index = match which {
            Which { failing: true, .. } => Hint::Name(MANAGED_FAILING.to_owned()),
            Which {
                upstream: Some(_), ..
            } => Hint::Name(MANAGED_FROM.to_owned()),
            Which {
                sight: Sight::Of(_),
                ..
            } => Hint::Name(MANAGED_OF_PROJECT.to_owned()),
            _ => Hint::Keys(doc! { "_id": 1 }),
        };
        let found = self.managed.find(filter).sort(doc! { "_id": 1 });
        all_of(found.hint(index).limit(most).await?).await
    }

    /// Those that have a certificate, what expires first before what expires later, behind `after`, `most` of them.
    pub async fn expiring(
        &self,
        which: &Which,
        after: Option<(Timestamp, ManagedId)>,
        most: i64,
    ) -> Result<Vec<Managed>, StorageError> {
        let mut filter = which.filter();
        // Without this, the index is not used: it has these alone.
        let mut end = doc! { "$exists": true };
        if let Some(before) = which.expires_before {
            end.insert("$lte", to_bson_time(before));
        }
        if let Some((at, id)) = after {
            let at = to_bson_time(at);
            end.insert("$gte", at);
            let behind = vec![
                doc! { "current.not_after": { "$gt": at } },
                doc! { "_id": { "$gt": id.to_string() } },
            ];
            filter.insert("$or", behind);
        }
        filter.insert("current.not_after", end);
        let order = doc! { "current.not_after": 1, "_id": 1 };
        let index = Hint::Name(MANAGED_EXPIRING.to_owned());
        let found = self.managed.find(filter).sort(order).hint(index);
        all_of(found.limit(most).await?).await
    }

    /// Which of these are within sight.
    pub async fn seen(
        &self,
        ids: &[ManagedId],
        sight: &Sight,
    ) -> Result<HashSet<ManagedId>, StorageError> {
        let mut filter = Which {
            sight: sight.clone(),
            ..Which::all()
        }
        .filter();
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        filter.insert("_id", doc! { "$in": ids });
        let found = self.managed.find(filter).projection(doc! { "_id": 1 });
        let found: Vec<Document> = found.await?.try_collect().await?;
        let id = |document: &Document| document.get_str("_id").ok()?.parse().ok();
        Ok(found.iter().filter_map(id).collect())
    }

    /// Those with this name or, if it is a DNS name, one below it, in the order of these names, with the name by which each was found: what `after` is
    /// to be for the next page. A certificate with several such names comes once.
    pub async fn named(
        &self,
        name: &Identifier,
        which: &Which,
        after: Option<(&str, ManagedId)>,
        most: i64,
    ) -> Result<Vec<(String, Managed)>, StorageError> {
        let root = search_key(name);
        let mut page = Vec::new();
        if after.is_none_or(|(key, _)| key == root) {
            let mut filter = which.filter();
            filter.insert("search", &root);
            if let Some((_, after)) = after {
                filter.insert("_id", doc! { "$gt": after.to_string() });
            }
            let found = self.managed.find(filter).sort(doc! { "_id": 1 });
            let found = found.hint(by_names()).limit(most).await?;
            let found: Vec<Managed> = all_of(found).await?;
            page.extend(found.into_iter().map(|managed| (root.clone(), managed)));
        }
        let has_below = matches!(name, Identifier::Dns(_));
        if i64::try_from(page.len()) == Ok(most) || !has_below {
            return Ok(page);
        }
        // What is below it lies between these, and nothing else does.
        let (mut from, to) = (format!("{root}."), format!("{root}/"));
        if let Some((key, _)) = after {
            from = from.max(key.to_owned());
        }
        let mut filter = which.filter();
        let between = doc! { "$gte": &from, "$lt": &to };
        filter.insert("search", doc! { "$elemMatch": between });
        let batch = u32::try_from(most).unwrap_or(u32::MAX);
        // The index's own order; a sort by a field of many values would read all of them first.
        let found = self.managed.find(filter).hint(by_names());
        let mut cursor = found.batch_size(batch).await?;
        while i64::try_from(page.len()).unwrap_or(i64::MAX) < most && cursor.advance().await? {
            let document = cursor.deserialize_current()?;
            let Some(first) = first_below(&document, &root) else {
                continue;
            };
            let managed: Managed = decode(document)?;
            // It came by an earlier name, or with the page before.
            let came = first == root
                || after.is_some_and(|(key, id)| (first.as_str(), managed.id) <= (key, id));
            if !came {
                page.push((first, managed));
            }
        }
        Ok(page)
    }
}

fn by_names() -> Hint {
    Hint::Name(MANAGED_SEARCH.to_owned())
}

/// The first of its names, in their order, that is this one or below it.
fn first_below(document: &Document, root: &str) -> Option<String> {
    let keys = document.get_array("search").ok()?;
    let keys = keys.iter().filter_map(Bson::as_str).filter(|key| {
        let rest = key.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    keys.min().map(str::to_owned)
}

impl Which {
    /// All that there are.
    pub fn all() -> Self {
        Self {
            sight: Sight::Everything,
            upstream: None,
            failing: false,
            expires_before: None,
        }
    }

    fn filter(&self) -> Document {
        let mut filter = Document::new();
        if let Sight::Of(projects) = &self.sight {
            filter.insert("project", of_projects(projects));
        }
        if let Some(upstream) = &self.upstream {
            filter.insert("upstreams", upstream.as_str());
        }
        if self.failing {
            filter.insert("setback.failures", doc! { "$gte": 1 });
        }
        if let Some(before) = self.expires_before {
            filter.insert("current.not_after", doc! { "$lte": to_bson_time(before) });
        }
        filter
    }
}

/// What was written before there were projects belongs to the first.
fn of_projects<'p>(projects: impl IntoIterator<Item = &'p ProjectName>) -> Document {
    let mut names: Vec<Bson> = Vec::new();
    for project in projects {
        if project.is_default() {
            names.push(Bson::Null);
        }
        names.push(Bson::from(project.as_str()));
    }
    doc! { "$in": names }
}
