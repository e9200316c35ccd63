//! Finds out of each authority whether it can sign, for the whole cluster: one worker has each sign a certificate that is
//! thrown away, and writes down what came of it for all to show.

use certfleet_domain::{Authority, Identifier};
use certfleet_jobs::Lease;
use certfleet_signer::{InternalKey, KeyAlgorithm};
use certfleet_storage::Unit;

use super::{HandlerError, Handlers};
use crate::issuing::IssuingError;

/// A name that never resolves (RFC 6761 §6.4): the certificate is of no use to anyone.
const NAME: &str = "health-check.invalid";

impl Handlers {
    pub(super) async fn check_authorities(&self, lease: &Lease) -> Result<(), HandlerError> {
        let mut result = Unit::default();
        for authority in self.store.authorities.all().await? {
            let trouble = self.try_to_sign(&authority).await.err();
            if let Some(trouble) = &trouble {
                tracing::error!(authority = %authority.name, trouble, "the authority cannot sign");
            }
            let authorities = &self.store.authorities;
            result = result.and(authorities.note_health(&authority.name, trouble.as_deref()));
        }
        self.finish(lease, result).await
    }

    /// Has the authority sign with its default profile; nothing is stored.
    async fn try_to_sign(&self, authority: &Authority) -> Result<(), String> {
        let names = [Identifier::dns(NAME).map_err(|error| error.to_string())?];
        let key =
            InternalKey::generate(KeyAlgorithm::EcdsaP256).map_err(|error| error.to_string())?;
        let trial = self.for_ourselves(authority, &names, &key)?;
        match self.issuing.try_to_sign(&trial).await {
            Ok(_) => Ok(()),
            Err(IssuingError::Passing(why) | IssuingError::Refused(why)) => Err(why),
        }
    }
}
