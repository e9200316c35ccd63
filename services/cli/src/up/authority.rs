//! The authority that the cluster issues from: made on the first start.

use std::path::{Path, PathBuf};

use certfleet_domain::{AuthorityName, SystemClock, SystemRng};
use certfleet_pki::certificate_pem;
use certfleet_storage::{Store, Vault};
use tokio::task::spawn_blocking;

use super::operator;
use crate::failure::Failure;
use crate::hierarchy::Plan;
use crate::operator::Operator;

/// Makes the authority if there is none of its name, and writes its root beside the data.
pub async fn ensure(
    store: &Store,
    vault: &Vault,
    name: &AuthorityName,
    directory: &Path,
) -> Result<(PathBuf, String), Failure> {
    let mut said = format!("{name}, as it was");
    let mut found = store.authorities.find(name).await?;
    if found.is_none() {
        let wanted = name.clone();
        let make = move || Plan::default().make(wanted, None, &SystemClock, &mut SystemRng);
        let new = spawn_blocking(make).await??;
        found = match new
            .store(store, vault, &mut SystemRng, &Operator::here())
            .await?
        {
            Some(stored) => {
                said = format!("{name}, with a new root and intermediate");
                Some(stored)
            }
            // Another was faster, as on a database that is shared.
            None => store.authorities.find(name).await?,
        };
    }
    let authority = found.ok_or_else(|| Failure::not_found("authority", name))?;
    let root = directory.join("root.pem");
    operator::write(&root, &certificate_pem(&authority.issuer.root), 0o644)?;
    Ok((root, said))
}
