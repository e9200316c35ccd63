//! What a load costs the database: documents written and commands answered, from `serverStatus`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bson::{Bson, Document, doc};
use mongodb::Client;
use mongodb::options::ClientOptions;

use super::process::Watched;
use super::steps::as_f64;

/// Commands a service sends and waits for; each is one round trip. `getMore` is apart: most of it is the
/// members' replication and the change feed's waiting.
const STATEMENTS: [&str; 11] = [
    "abortTransaction",
    "aggregate",
    "bulkWrite",
    "commitTransaction",
    "count",
    "delete",
    "distinct",
    "find",
    "findAndModify",
    "insert",
    "update",
];

/// The counters of interest: what they are called here, and where `serverStatus` has them.
const COUNTERS: [(&str, &[&str]); 6] = [
    ("documents inserted", &["metrics", "document", "inserted"]),
    ("documents updated", &["metrics", "document", "updated"]),
    ("documents deleted", &["metrics", "document", "deleted"]),
    ("documents returned", &["metrics", "document", "returned"]),
    (
        "transactions committed",
        &["transactions", "totalCommitted"],
    ),
    (
        "journal syncs",
        &["wiredTiger", "log", "log sync operations"],
    ),
];

/// Every member of a replica set, each asked for itself.
pub(crate) struct Mongo {
    members: Vec<Client>,
}

/// The primary's counters at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    primary: i64,
    values: BTreeMap<String, i64>,
}

impl Mongo {
    pub(crate) async fn connect(uri: &str) -> Result<Self> {
        let options = ClientOptions::parse(uri)
            .await
            .context("the cluster's mongo_uri is not one")?;
        let mut members = Vec::new();
        for host in &options.hosts {
            let mut options = options.clone();
            options.hosts = vec![host.clone()];
            options.repl_set_name = None;
            options.direct_connection = Some(true);
            options.server_selection_timeout = Some(Duration::from_secs(5));
            members.push(Client::with_options(options)?);
        }
        Ok(Self { members })
    }

    /// The members' processes.
    pub(crate) async fn processes(&self) -> Result<Vec<Watched>> {
        let mut processes = Vec::new();
        for member in &self.members {
            let status = server_status(member).await?;
            let pid = number(&status, &["pid"]).context("serverStatus has no pid")?;
            processes.push(Watched {
                service: "mongod".to_owned(),
                pid: u32::try_from(pid)?,
            });
        }
        Ok(processes)
    }

    /// The primary's counters now.
    pub(crate) async fn counters(&self) -> Result<Counters> {
        for member in &self.members {
            let status = server_status(member).await?;
            if is_primary(&status) {
                return Counters::read(&status);
            }
        }
        anyhow::bail!("the replica set has no primary")
    }
}

async fn server_status(member: &Client) -> Result<Document> {
    let status = member
        .database("admin")
        .run_command(doc! { "serverStatus": 1 })
        .await?;
    Ok(status)
}

fn is_primary(status: &Document) -> bool {
    let Ok(repl) = status.get_document("repl") else {
        return false;
    };
    ["isWritablePrimary", "ismaster"]
        .iter()
        .any(|name| matches!(repl.get_bool(name), Ok(true)))
}

impl Counters {
    fn read(status: &Document) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, path) in COUNTERS {
            if let Some(value) = number(status, path) {
                values.insert(name.to_owned(), value);
            }
        }
        for command in STATEMENTS.into_iter().chain(["getMore"]) {
            if let Some(value) = number(status, &["metrics", "commands", command, "total"]) {
                values.insert(format!("command {command}"), value);
            }
        }
        Ok(Self {
            primary: number(status, &["pid"]).context("serverStatus has no pid")?,
            values,
        })
    }

    /// What happened since `before`, for each of `flows`. `None` when another member became primary meanwhile,
    /// because then neither's counters tell the whole.
    pub(crate) fn per_flow(&self, before: &Self, flows: u64) -> Option<BTreeMap<String, f64>> {
        if self.primary != before.primary || flows == 0 {
            return None;
        }
        let since = |name: &str| {
            let then = before.values.get(name).copied().unwrap_or(0);
            let now = self.values.get(name).copied().unwrap_or(then);
            u64::try_from(now - then).unwrap_or(0)
        };
        let each = |count| as_f64(count) / as_f64(flows);
        let mut result: BTreeMap<_, _> = self
            .values
            .keys()
            .map(|name| (name.clone(), each(since(name))))
            .filter(|(_, per_flow)| *per_flow > 0.0)
            .collect();
        let writes = ["inserted", "updated", "deleted"].map(|w| since(&format!("documents {w}")));
        let trips = STATEMENTS.map(|command| since(&format!("command {command}")));
        result.insert("writes".to_owned(), each(writes.iter().sum()));
        result.insert("round trips".to_owned(), each(trips.iter().sum()));
        Some(result)
    }
}

/// An integer of any of BSON's kinds at `path`.
fn number(document: &Document, path: &[&str]) -> Option<i64> {
    let (last, parents) = path.split_last()?;
    let mut at = document;
    for name in parents {
        at = at.get_document(name).ok()?;
    }
    match at.get(last)? {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a counter that mongod keeps as a double is still a whole number below 2^53"
        )]
        Bson::Double(value) => Some(*value as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pid: i64, inserted: i64, finds: i32, primary: bool) -> Document {
        doc! {
            "pid": pid,
            "repl": { "isWritablePrimary": primary },
            "metrics": {
                "document": { "inserted": inserted, "updated": 4_i64, "deleted": 0_i64 },
                "commands": { "find": { "total": finds }, "hello": { "total": 900.0 } },
            },
            "transactions": { "totalCommitted": inserted },
        }
    }

    #[test]
    fn counters_are_divided_among_the_flows() {
        let before = Counters::read(&status(7, 100, 10, true)).unwrap();
        let after = Counters::read(&status(7, 150, 40, true)).unwrap();
        let per_flow = after.per_flow(&before, 10).unwrap();
        let expected = [
            ("command find", 3.0),
            ("documents inserted", 5.0),
            ("round trips", 3.0),
            ("transactions committed", 5.0),
            ("writes", 5.0),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(per_flow, BTreeMap::from(expected));
    }

    #[test]
    fn counters_of_two_primaries_are_not_compared() {
        let before = Counters::read(&status(7, 100, 10, true)).unwrap();
        let after = Counters::read(&status(8, 150, 40, true)).unwrap();
        assert!(after.per_flow(&before, 10).is_none());
    }

    #[test]
    fn only_the_writable_member_is_primary() {
        assert!(is_primary(&status(1, 0, 0, true)));
        assert!(!is_primary(&status(1, 0, 0, false)));
        assert!(!is_primary(&doc! { "pid": 1 }));
    }
}
