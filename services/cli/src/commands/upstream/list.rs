//! The authorities that there are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use certfleet_domain::Upstream;
use serde::Serialize;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct View {
    name: String,
    directory: String,
    profile: Option<String>,
    /// The URL of the fleet's account, once there is one.
    account: Option<String>,
    bound: bool,
    /// How much of it the fleet may have: rates by what they are for.
    limits: BTreeMap<&'static str, String>,
}

impl From<Upstream> for View {
    fn from(upstream: Upstream) -> Self {
        Self {
            name: upstream.name.to_string(),
            directory: upstream.directory,
            profile: upstream.profile,
            account: upstream.account,
            bound: upstream.binding.is_some(),
            limits: [
                ("orders", upstream.budget.orders),
                ("orders_per_domain", upstream.budget.orders_per_domain),
                ("orders_per_name_set", upstream.budget.orders_per_name_set),
            ]
            .into_iter()
            .filter_map(|(name, rate)| Some((name, rate?.to_string())))
            .collect(),
        }
    }
}

/// Lists them.
pub async fn run(config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    let all = store.fleet.upstreams().await?;
    let all: Vec<View> = all.into_iter().map(View::from).collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line(
                "there is no authority; `certfleet upstream add NAME --directory URL` adds one",
            );
            return;
        }
        let rows = all.iter().map(|one| {
            [
                one.name.clone(),
                one.directory.clone(),
                one.profile.clone().unwrap_or_default(),
                one.limits.values().cloned().collect::<Vec<_>>().join(" "),
                one.account.clone().unwrap_or_else(|| "none yet".to_owned()),
            ]
        });
        sheet.table(["name", "directory", "profile", "limits", "account"], rows);
    })
}
