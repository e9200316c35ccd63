//! Who signs a log's checkpoints.

use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::Checkpoint;
use crate::key::CheckpointKey;
use crate::log::Head;

/// What a signed report begins with.
pub const REPORT: &str = "certfleet report";

/// What signs a log's checkpoints.
pub struct CheckpointSigner {
    name: String,
    key: Ed25519KeyPair,
}

impl CheckpointSigner {
    /// A new key, PKCS#8.
    ///
    /// # Errors
    /// If the system gives no chance.
    pub fn generate() -> Result<Vec<u8>, Unspecified> {
        Ok(Ed25519KeyPair::generate()?.to_pkcs8()?.as_ref().to_vec())
    }

    /// For the log of this origin, with this PKCS#8 key.
    ///
    /// # Errors
    /// If it is no Ed25519 key.
    pub fn new(origin: &str, pkcs8: &[u8]) -> Result<Self, KeyRejected> {
        Ok(Self {
            name: origin.to_owned(),
            key: Ed25519KeyPair::from_pkcs8(pkcs8)?,
        })
    }

    /// Its public half.
    pub fn key(&self) -> CheckpointKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.key.public_key().as_ref());
        CheckpointKey::new(&self.name, key)
    }

    /// The checkpoint of the log as it ends now, signed.
    pub fn sign(&self, head: &Head) -> String {
        self.note(&Checkpoint::of(&self.name, head).body())
    }

    /// A report of the database whose log it is, signed: a C2SP signed-note. Its first line is [`REPORT`], so that it is
    /// never taken for a checkpoint.
    pub fn sign_report(&self, report: &str) -> String {
        self.note(&format!("{REPORT}\n{}\n", report.trim_end()))
    }

    fn note(&self, body: &str) -> String {
        let mut signature = self.key().id().to_vec();
        signature.extend(self.key.sign(body.as_bytes()).as_ref());
        format!(
            "{body}\n\u{2014} {} {}\n",
            self.name,
            STANDARD.encode(signature)
        )
    }
}
