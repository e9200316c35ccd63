//! The keys that there are.

use std::path::PathBuf;

use certfleet_domain::{Clock as _, EabKey, SystemClock, Timestamp};
use serde::Serialize;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::{Output, moment_or_none};

#[derive(Serialize)]
struct View {
    kid: String,
    label: Option<String>,
    authority: String,
    status: &'static str,
    /// How many accounts it has bound.
    bound: u32,
    /// How many it may bind yet.
    left: u32,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
}

impl View {
    fn of(key: EabKey, now: Timestamp) -> Self {
        Self {
            kid: key.id.to_string(),
            status: key.status(now),
            label: key.label,
            authority: key.authority.to_string(),
            bound: key.bound,
            left: key.left,
            expires_at: key.expires_at,
            created_at: key.created_at,
        }
    }
}

/// Lists them.
pub async fn run(config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    let now = SystemClock.now();
    let all: Vec<View> = store
        .eab_keys
        .all()
        .await?
        .into_iter()
        .map(|key| View::of(key, now))
        .collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is no key; `certfleet eab create` makes one");
            return;
        }
        let rows = all.iter().map(|key| {
            [
                key.kid.clone(),
                key.status.to_owned(),
                key.authority.clone(),
                key.bound.to_string(),
                key.left.to_string(),
                moment_or_none(key.expires_at),
                key.label.clone().unwrap_or_default(),
            ]
        });
        let heads = [
            "key identifier",
            "status",
            "authority",
            "bound",
            "left",
            "until",
            "label",
        ];
        sheet.table(heads, rows);
    })
}
