//! The cluster's own authority, as one that the fleet can have certificates from.

use std::path::Path;

use anyhow::Context as _;
use certfleet_audit::Act;
use certfleet_domain::{Budget, Clock as _, ProjectName, SystemClock, Upstream, UpstreamName};
use certfleet_storage::{CommitError, Store};

use crate::failure::Failure;
use crate::operator::Operator;

/// What it is called in the fleet.
const OWN: &str = "own";

/// Sees to it that the fleet can have certificates from this cluster itself, at the address that it has now.
pub async fn ensure_own(
    store: &Store,
    directory: &str,
    root: &Path,
) -> Result<((), String), Failure> {
    let name: UpstreamName = OWN.parse()?;
    let roots = std::fs::read_to_string(root).with_context(|| root.display().to_string())?;
    let found = store.fleet.upstream(&name).await?;
    let unit = match found {
        Some(known) if known.directory == directory && known.roots.as_deref() == Some(&roots) => {
            return Ok(((), told(&name)));
        }
        Some(known) => store.fleet.update_upstream(&Upstream {
            directory: directory.to_owned(),
            roots: Some(roots),
            // Another address is another server to ACME, and its accounts have other URLs.
            account: None,
            ..known
        })?,
        None => store.fleet.insert_upstream(&Upstream {
            name: name.clone(),
            project: ProjectName::default(),
            directory: directory.to_owned(),
            roots: Some(roots),
            contacts: Vec::new(),
            profile: None,
            binding: None,
            budget: Budget::default(),
            account: None,
            created_at: SystemClock.now(),
            version: 0,
        })?,
    };
    let event = Operator::here()
        .event(Act::CreateUpstream, format_args!("upstream/{name}"))
        .with_detail(directory);
    match store.commit(unit.recording(&event)?).await {
        Ok(()) => Ok(((), told(&name))),
        Err(CommitError::Storage(error)) => Err(error.into()),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

fn told(name: &UpstreamName) -> String {
    format!("certificates can be had from here: --upstream {name}")
}
