//! `admin-token` in the data directory: a token of the REST API by which whoever may read the file may do everything.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certfleet_domain::{Clock as _, Grant, Role, Scope, SystemClock};
use certfleet_management::{NewToken, ShownToken, add_token};
use certfleet_storage::Store;

use super::operator::write;
use crate::failure::Failure;
use crate::operator::Operator;

/// What it is called in the data directory.
const FILE: &str = "admin-token";
/// What it is called in the list of tokens.
const LABEL: &str = "certfleet up";

/// Sees to it that there is a token in the file, and that it counts.
pub async fn ensure(store: &Store, directory: &Path) -> Result<(PathBuf, String), Failure> {
    let path = directory.join(FILE);
    let told = path.display().to_string();
    if counts(store, &path).await? {
        return Ok((path, told));
    }
    let wish = NewToken {
        label: LABEL.to_owned(),
        grants: vec![Grant {
            role: Role::Admin,
            scope: Scope::Everywhere,
        }],
        expires_at: None,
    };
    let plan = add_token(store, wish).await?;
    // Before it counts: whoever is killed in between finds one that does not, and makes another.
    write(&path, &plan.made.text, 0o600)?;
    plan.carry_out(store, Operator::here().sender()).await?;
    Ok((path, told))
}

async fn counts(store: &Store, path: &Path) -> Result<bool, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| path.display().to_string())?,
    };
    // What else is in the file is put aside.
    let Ok(shown) = text.trim().parse::<ShownToken>() else {
        return Ok(false);
    };
    let found = store.access.token(shown.id).await?;
    let now = SystemClock.now();
    Ok(found.is_some_and(|token| token.admit(shown.digest, now).is_ok()))
}
