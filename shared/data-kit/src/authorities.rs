//! Authorities, remembered for a while: they change a few times a year and are asked for with every request.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use certfleet_domain::{Authority, AuthorityName, IssuerId};
use certfleet_storage::{Authorities as Repository, StorageError};
use tokio::time::Instant;

/// How long a replica may not have heard of a change.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// Authorities, remembered for a while. One that is not there is never remembered as such.
pub struct Authorities {
    repository: Repository,
    remembered: RwLock<HashMap<AuthorityName, (Instant, Arc<Authority>)>>,
    all: RwLock<Option<(Instant, Arc<[Authority]>)>>,
}

impl Authorities {
    /// Over the repository.
    pub fn new(repository: Repository) -> Self {
        Self {
            repository,
            remembered: RwLock::default(),
            all: RwLock::default(),
        }
    }

    /// The authority of this name.
    pub async fn find(&self, name: &AuthorityName) -> Result<Option<Arc<Authority>>, StorageError> {
        if let Some(authority) = self.recall(name) {
            return Ok(Some(authority));
        }
        let Some(authority) = self.repository.find(name).await? else {
            return Ok(None);
        };
        let authority = Arc::new(authority);
        let entry = (Instant::now(), Arc::clone(&authority));
        self.remembered
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), entry);
        Ok(Some(authority))
    }

    /// All of them, as they were some seconds ago at the most.
    pub async fn all(&self) -> Result<Arc<[Authority]>, StorageError> {
        if let Some(all) = self.recall_all() {
            return Ok(all);
        }
        let all: Arc<[Authority]> = self.repository.all().await?.into();
        let entry = (Instant::now(), Arc::clone(&all));
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = Some(entry);
        Ok(all)
    }

    /// The authority that this issuer signs for, or did.
    pub async fn of_issuer(&self, issuer: IssuerId) -> Result<Option<Authority>, StorageError> {
        let all = self.all().await?;
        let authority = all.iter().find(|one| one.issuer(issuer).is_some());
        Ok(authority.cloned())
    }

    fn recall_all(&self) -> Option<Arc<[Authority]>> {
        let remembered = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let (since, all) = remembered.as_ref()?;
        (since.elapsed() < REMEMBERED_FOR).then(|| Arc::clone(all))
    }

    fn recall(&self, name: &AuthorityName) -> Option<Arc<Authority>> {
        let remembered = self
            .remembered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let (since, authority) = remembered.get(name)?;
        (since.elapsed() < REMEMBERED_FOR).then(|| Arc::clone(authority))
    }
}
