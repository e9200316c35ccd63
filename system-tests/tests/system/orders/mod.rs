//! Orders (RFC 8555 §7.4): many at once, each kind of name, what is asked for and what is issued, and what it is good
//! for afterwards.

mod asked_for;
mod at_once;
mod authorizations;
mod certificates;
mod revocation;

use anyhow::{Context as _, Result};

/// The id at the end of a URL.
fn id_of(url: &str) -> Result<String> {
    Ok(url.rsplit('/').next().context("no id")?.to_owned())
}
