use std::time::Duration;

use certfleet_domain::{
    Budget, Contact, ProjectName, Rate, Upstream, UpstreamBinding, UpstreamName,
};
use serde::{Deserialize, Serialize};

use super::{Stored, from_bson_time, to_bson_time};
use crate::collections;

#[derive(Serialize, Deserialize)]
pub(crate) struct UpstreamDocument {
    #[serde(rename = "_id")]
    name: UpstreamName,
    #[serde(default)]
    project: ProjectName,
    directory: String,
    roots: Option<String>,
    contacts: Vec<Contact>,
    profile: Option<String>,
    binding_kid: Option<String>,
    orders: Option<RateDocument>,
    orders_per_domain: Option<RateDocument>,
    orders_per_name_set: Option<RateDocument>,
    account: Option<String>,
    created_at: bson::DateTime,
    version: i64,
}

/// So many in so many seconds.
#[derive(Serialize, Deserialize)]
struct RateDocument {
    count: u32,
    seconds: i64,
}

impl From<Rate> for RateDocument {
    fn from(rate: Rate) -> Self {
        Self {
            count: rate.count(),
            seconds: i64::try_from(rate.period().as_secs()).unwrap_or(i64::MAX),
        }
    }
}

fn rate(document: Option<RateDocument>, field: &str) -> Result<Option<Rate>, String> {
    document
        .map(|document| {
            let period = Duration::from_secs(document.seconds.max(0).unsigned_abs());
            Rate::new(document.count, period).map_err(|error| format!("{field}: {error}"))
        })
        .transpose()
}

impl Stored for Upstream {
    const COLLECTION: &'static str = collections::UPSTREAMS;
    type Document = UpstreamDocument;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn to_document(&self, version: i64) -> UpstreamDocument {
        UpstreamDocument {
            name: self.name.clone(),
            project: self.project.clone(),
            directory: self.directory.clone(),
            roots: self.roots.clone(),
            contacts: self.contacts.clone(),
            profile: self.profile.clone(),
            binding_kid: self.binding.as_ref().map(|binding| binding.kid.clone()),
            orders: self.budget.orders.map(RateDocument::from),
            orders_per_domain: self.budget.orders_per_domain.map(RateDocument::from),
            orders_per_name_set: self.budget.orders_per_name_set.map(RateDocument::from),
            account: self.account.clone(),
            created_at: to_bson_time(self.created_at),
            version,
        }
    }

    fn from_document(document: UpstreamDocument) -> Result<Self, String> {
        Ok(Self {
            name: document.name,
            project: document.project,
            directory: document.directory,
            roots: document.roots,
            contacts: document.contacts,
            profile: document.profile,
            binding: document.binding_kid.map(|kid| UpstreamBinding { kid }),
            budget: Budget {
                orders: rate(document.orders, "orders")?,
                orders_per_domain: rate(document.orders_per_domain, "orders_per_domain")?,
                orders_per_name_set: rate(document.orders_per_name_set, "orders_per_name_set")?,
            },
            account: document.account,
            created_at: from_bson_time(document.created_at),
            version: document.version,
        })
    }
}
