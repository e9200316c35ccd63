//! Looks at what is served where somebody has said that something might be, many places at a time.
//!
//! What is due is put off before it is looked at, so that a run that overlaps this one looks at something else; what a killed run
//! has not come to is looked at a quarter of an hour later.

use certfleet_domain::{Discovered, Discovery, Identifier, ProjectName, Sight};
use certfleet_jobs::Lease;
use certfleet_pki::{
    fingerprint_of_certificate, issuer_name_of_certificate, names_of_certificate,
    serial_of_certificate, validity_of_certificate,
};
use certfleet_storage::{CommitError, StorageError, Unit, Which};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{HandlerError, Handlers};

/// So many are looked at in one run; the next is due soon.
const MOST: i64 = 2000;
/// So many servers at the same time.
const AT_ONCE: usize = 256;
/// So many reads or writes of the database at the same time.
const WRITTEN_AT_ONCE: usize = 8;
/// So many certificates with a name are looked at whether one of them is served.
const OF_A_NAME: i64 = 100;

impl Handlers {
    pub(super) async fn discover(&self, lease: &Lease) -> Result<(), HandlerError> {
        let due = self.store.discoveries.due(self.clock.now(), MOST).await?;
        let ours: Vec<Option<Discovery>> = stream::iter(due)
            .map(|discovery| self.put_off_discovery(discovery))
            .buffer_unordered(WRITTEN_AT_ONCE)
            .try_collect()
            .await?;
        let looked = stream::iter(ours.into_iter().flatten())
            .map(|discovery| async {
                let found = self.served_at(&discovery).await;
                (discovery, found)
            })
            .buffer_unordered(AT_ONCE);
        looked
            .map(|(discovery, found)| self.note_discovery(discovery, found))
            .buffer_unordered(WRITTEN_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        self.finish(lease, Unit::default()).await
    }

    /// `None` if another run has it.
    async fn put_off_discovery(
        &self,
        discovery: Discovery,
    ) -> Result<Option<Discovery>, StorageError> {
        let put_off = discovery.put_off(self.clock.now());
        let unit = self.store.discoveries.update(&put_off)?;
        match self.store.commit(unit).await {
            Ok(()) => Ok(Some(Discovery {
                version: put_off.version + 1,
                ..put_off
            })),
            Err(CommitError::Storage(error)) => Err(error),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Ok(None),
        }
    }

    /// What is served there: whatever is shown to who asks for the endpoint's own name.
    async fn served_at(&self, discovery: &Discovery) -> Result<Discovered, String> {
        let endpoint = &discovery.endpoint;
        let at = (endpoint.host(), endpoint.port());
        let chain = self.prober.look(at, endpoint.host()).await;
        let chain = chain.map_err(|error| error.to_string())?;
        let own = chain.first().ok_or("no certificate is shown")?;
        let strange = |error: &dyn std::fmt::Display| format!("what is shown is none: {error}");
        let (not_before, not_after) =
            validity_of_certificate(own).map_err(|error| strange(&error))?;
        let serial = serial_of_certificate(own).map_err(|error| strange(&error))?;
        Ok(Discovered {
            fingerprint: fingerprint_of_certificate(own),
            serial: hex::encode(serial),
            // Names that nobody can certify are none of ours.
            names: names_of_certificate(own).unwrap_or_default(),
            issuer: issuer_name_of_certificate(own).map_err(|error| strange(&error))?,
            not_before,
            not_after,
            first_seen: self.clock.now(),
            managed: None,
        })
    }

    async fn note_discovery(
        &self,
        discovery: Discovery,
        found: Result<Discovered, String>,
    ) -> Result<(), HandlerError> {
        let found = match found {
            Ok(mut found) => {
                found.managed = self.managed_as(&discovery.project, &found).await?;
                Ok(found)
            }
            Err(why) => Err(why),
        };
        let before = discovery.clone();
        let unit = match discovery.looked(found, self.clock.now()) {
            Some(after) => self.store.discoveries.update(&after)?,
            None => self.store.discoveries.remove(&before),
        };
        match self.store.commit(unit).await {
            // Whoever changed it meanwhile has what they wanted.
            Ok(()) | Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Ok(()),
            Err(CommitError::Storage(error)) => Err(error.into()),
        }
    }

    /// The managed certificate that this is one of: with the same names, in the same project.
    async fn managed_as(
        &self,
        project: &ProjectName,
        found: &Discovered,
    ) -> Result<Option<certfleet_domain::ManagedId>, StorageError> {
        let Some(first): Option<&Identifier> = found.names.first() else {
            return Ok(None);
        };
        let which = Which {
            sight: Sight::Of([project.clone()].into()),
            ..Which::all()
        };
        let named = self.store.inventory.named(first, &which, None, OF_A_NAME);
        let same = named
            .await?
            .into_iter()
            .find(|(_, managed)| managed.names == found.names);
        Ok(same.map(|(_, managed)| managed.id))
    }
}
