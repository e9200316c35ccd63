//! Certificates with their keys, as a host's agent gets them. Each key that is handed out is on record before it is.

use std::collections::HashMap;

use certfleet_agent_protocol::{File, Item, KeyPem};
use certfleet_audit::Act;
use certfleet_domain::{Placement, Target, TargetName, Version, VersionId};
use certfleet_secrets::Purpose;
use certfleet_storage::{SecretName, Unit, VaultError};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::by_agent::ByAgent;
use crate::app::App;
use crate::error::ApiError;

/// So many keys are opened at the same time.
const AT_ONCE: usize = 8;

/// What lies ready for a delivery.
struct Ready {
    targets: HashMap<TargetName, Target>,
    versions: HashMap<VersionId, Version>,
}

/// All of what is due that can be had. What cannot, because something of it is not there, is put off and said so at it.
pub async fn hand_out(app: &App, by: &ByAgent, due: Vec<Placement>) -> Result<Vec<Item>, ApiError> {
    let ready = Ready::read(app, &due).await?;
    let items: Vec<Option<Item>> = stream::iter(due)
        .map(|placement| ready.item(app, placement))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let items: Vec<Item> = items.into_iter().flatten().collect();
    let mut record = Unit::default();
    for item in &items {
        let target = format!("placement/{}", item.placement);
        let detail = format!("version {} for {}", item.version, item.target);
        record = record.recording(&by.event(app, Act::HandOutKey, target, detail))?;
    }
    app.store.commit(record).await?;
    Ok(items)
}

impl Ready {
    async fn read(app: &App, due: &[Placement]) -> Result<Self, ApiError> {
        let mut targets: Vec<TargetName> = due.iter().map(|one| one.target.clone()).collect();
        targets.sort();
        targets.dedup();
        let versions: Vec<VersionId> = due.iter().filter_map(|one| one.wanted).collect();
        let targets = app.store.deliveries.targets_named(&targets).await?;
        let versions = app.store.fleet.versions(&versions).await?;
        Ok(Self {
            targets: targets
                .into_iter()
                .map(|one| (one.name.clone(), one))
                .collect(),
            versions: versions.into_iter().map(|one| (one.id, one)).collect(),
        })
    }

    async fn item(&self, app: &App, placement: Placement) -> Result<Option<Item>, ApiError> {
        match self.complete(app, &placement).await {
            Ok(item) => Ok(Some(item)),
            Err(Lacking::Passing(error)) => Err(error),
            Err(Lacking::Lasting(why)) => {
                tracing::error!(placement = %placement.id, why, "cannot be handed out");
                if let Some(version) = placement.wanted {
                    let failed = placement.failed(version, why, app.now());
                    let unit = app.store.deliveries.update_placement(&failed)?;
                    match app.store.commit(unit).await {
                        Ok(()) => {}
                        Err(error) if error.is_conflict() => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(None)
            }
        }
    }

    async fn complete(&self, app: &App, placement: &Placement) -> Result<Item, Lacking> {
        let none = |what: &str| Lacking::Lasting(format!("{what} is not there"));
        let target = self.targets.get(&placement.target);
        let target = target.ok_or_else(|| none("the target"))?;
        let version = placement.wanted.and_then(|id| self.versions.get(&id));
        let version = version.ok_or_else(|| none("the version of the certificate"))?;
        let name = SecretName::ManagedKey(version.id);
        let key = app.vault.require(&name, Purpose::Deliver).await;
        let key = key.map_err(|error| match error {
            VaultError::Storage(error) => Lacking::Passing(error.into()),
            VaultError::Missing(_) => none("its key"),
            // A KEK that is away comes back.
            other => Lacking::Passing(ApiError::Internal(other.to_string())),
        })?;
        let files = target.files.iter().map(|file| File {
            path: file.path.path(&placement.slot),
            content: file.content,
            mode: file.mode,
            owner: file.owner.clone(),
        });
        Ok(Item {
            placement: placement.id,
            version: version.id,
            target: target.name.clone(),
            served_name: placement.name.host_below(),
            files: files.collect(),
            reload: target.reload.clone(),
            probe: target.probe.clone(),
            chain: version.chain.clone(),
            key: KeyPem::from_pkcs8(key.expose()),
        })
    }
}

/// Why something cannot be handed out.
enum Lacking {
    /// It may pass.
    Passing(ApiError),
    /// It will not.
    Lasting(String),
}
