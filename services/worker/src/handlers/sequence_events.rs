//! Gives the events of the audit trail their numbers, and signs what is new.

use certfleet_audit::CheckpointSigner;
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_jobs::Lease;
use certfleet_secrets::{Purpose, Secret};
use certfleet_storage::{SecretName, Unit};

use super::{HandlerError, Handlers};

impl Handlers {
    pub(super) async fn sequence_events(&self, lease: &Lease) -> Result<(), HandlerError> {
        let audit = self.store.audit();
        // First: a log with entries and without a key is one whose key was taken away.
        let signer = self.checkpoint_signer().await?;
        audit.sequence_waiting().await?;
        self.sign_what_is_new(&signer).await?;
        self.finish(lease, Unit::default()).await
    }

    /// Signs the log as it ends now, unless that was done. Said aloud, so that it is kept where the log's lines go, too.
    async fn sign_what_is_new(&self, signer: &CheckpointSigner) -> Result<(), HandlerError> {
        let audit = self.store.audit();
        let head = audit.head().await?;
        let last = audit.last_checkpoint().await?;
        if head.size() == last.map_or(0, |checkpoint| checkpoint.head.size()) {
            return Ok(());
        }
        let note = signer.sign(&head);
        reach(CrashPoint::CheckpointSigned);
        audit.keep_checkpoint(&note, &head).await?;
        tracing::info!(
            size = head.size(),
            checkpoint = note,
            "the audit trail is signed"
        );
        Ok(())
    }

    /// The log's key. The first worker ever to ask makes it; of several at once, one does.
    async fn checkpoint_signer(&self) -> Result<CheckpointSigner, HandlerError> {
        let name = SecretName::CheckpointKey;
        let secret = match self.vault.open(&name, Purpose::SignCheckpoint).await? {
            Some(secret) => secret,
            None => self.make_checkpoint_key(&name).await?,
        };
        let signer_of = |origin: &str| {
            CheckpointSigner::new(origin, secret.expose())
                .map_err(|error| HandlerError::Lasting(format!("secret {name}: {error}")))
        };
        let audit = self.store.audit();
        let kept = if let Some(kept) = audit.key().await? {
            kept
        } else {
            // What tells this log from all others: given once.
            let origin = format!("certfleet/{}", self.recorder.new_id());
            audit.keep_key(&signer_of(&origin)?.key()).await?
        };
        let signer = signer_of(kept.origin())?;
        let key = signer.key();
        if kept == key {
            Ok(signer)
        } else {
            Err(HandlerError::Lasting(format!(
                "the audit trail's key in the database, {kept}, is not that of its signatures, {key}"
            )))
        }
    }

    async fn make_checkpoint_key(&self, name: &SecretName) -> Result<Secret, HandlerError> {
        let key = CheckpointSigner::generate()
            .map_err(|_| HandlerError::Passing("no key can be made".to_owned()))?;
        let (secret, purpose) = (Secret::new(key), Purpose::SignCheckpoint);
        let (sender, clock) = (&self.recorder.sender, self.clock.as_ref());
        let made = self.vault.make(name, purpose, &secret, sender, clock);
        Ok(made.await?)
    }
}
