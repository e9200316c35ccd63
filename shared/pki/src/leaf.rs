//! What a chain says that comes from elsewhere.

use certfleet_domain::{Identifier, Timestamp};

use crate::{
    authority_key_identifier, certificates_from_pem, names_of_certificate, serial_of_certificate,
    spki_of_certificate, validity_of_certificate,
};

/// What the first certificate of a chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its names, sorted.
    pub names: Vec<Identifier>,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Its public key, DER (RFC 5280 §4.1).
    pub spki: Vec<u8>,
    /// The identifier of its issuer's key, if it says one.
    pub issuer_key: Option<Vec<u8>>,
}

/// Text that is no chain that could be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no chain: {0}")]
pub struct NoLeaf(String);

impl Leaf {
    /// Of a chain, PEM: the certificate first.
    ///
    /// # Errors
    /// It is none, or says something that could not be kept.
    pub fn of_chain(chain: &str) -> Result<Self, NoLeaf> {
        let strange = |error: &dyn std::fmt::Display| NoLeaf(error.to_string());
        let ders = certificates_from_pem(chain).map_err(|error| strange(&error))?;
        let leaf = ders.first().ok_or_else(|| strange(&"it is empty"))?;
        let (not_before, not_after) =
            validity_of_certificate(leaf).map_err(|error| strange(&error))?;
        Ok(Self {
            names: names_of_certificate(leaf).map_err(|error| strange(&error))?,
            serial: serial_of_certificate(leaf).map_err(|error| strange(&error))?,
            not_before,
            not_after,
            spki: spki_of_certificate(leaf).map_err(|error| strange(&error))?,
            issuer_key: authority_key_identifier(leaf).ok(),
        })
    }
}
