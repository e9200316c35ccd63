//! A signing key as it is kept: sealed, and either the key itself or where it is.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certfleet_domain::{Clock, Pkcs11Uri};
use certfleet_pkcs11::{KeyKind, TokenAccess};
use certfleet_pki::{SignatureAlgorithm, Signer, SignerError, read_spki};
use zeroize::Zeroizing;

use crate::failover::Tokens;
use crate::internal::{InternalKey, KeyError};

/// By this the places of a key in tokens are known from a key. PKCS#8 begins otherwise: with a SEQUENCE.
const MARK: &str = "certfleet key in tokens 1";

/// A signing key: in memory, or in one token or several.
pub enum SigningKey {
    /// In memory.
    Internal(InternalKey),
    /// In tokens.
    Tokens(Tokens),
}

impl SigningKey {
    /// A pair that is in these tokens, the same in each, tried in this order.
    ///
    /// # Errors
    /// The first token is away, or the key is not one that is accepted, or another token has another key.
    pub fn in_tokens(
        places: &[Pkcs11Uri],
        access: &TokenAccess,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        Ok(Self::Tokens(Tokens::find(places, access, clock)?))
    }

    /// Reads what [`Self::to_be_kept`] gives. Asks nothing of a token.
    ///
    /// # Errors
    /// It is neither a key nor its places; or it is in a token, and nothing says how tokens are reached.
    pub fn read(
        kept: &Zeroizing<Vec<u8>>,
        access: Option<&TokenAccess>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(kept).ok();
        let Some(rest) = text.and_then(|text| text.strip_prefix(MARK)) else {
            return InternalKey::from_pkcs8_der(kept).map(Self::Internal);
        };
        let mut lines = rest.split_whitespace();
        let spki = lines.next().and_then(|line| STANDARD.decode(line).ok());
        let (algorithm, public) = spki
            .and_then(|spki| read_spki(&spki))
            .ok_or(KeyError::Unsupported)?;
        let places = lines
            .map(Pkcs11Uri::from_str)
            .collect::<Result<Vec<_>, _>>();
        let places = places.map_err(|error| KeyError::Token(error.to_string()))?;
        let access = access.ok_or(KeyError::NoModule)?;
        let keys = places
            .iter()
            .map(|place| access.key(place, KeyKind::Private))
            .collect();
        Ok(Self::Tokens(Tokens::new(keys, algorithm, public, clock)))
    }

    /// What is to be kept of it, sealed.
    ///
    /// # Errors
    /// The library failed.
    pub fn to_be_kept(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Internal(key) => key.to_pkcs8_der(),
            Self::Tokens(tokens) => {
                let mut text = format!("{MARK}\n{}\n", STANDARD.encode(self.spki_der()));
                for place in tokens.places() {
                    text.push_str(&place.to_string());
                    text.push('\n');
                }
                Ok(Zeroizing::new(text.into_bytes()))
            }
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Internal(_) => "sealed in the database".to_owned(),
            Self::Tokens(tokens) => {
                let places: Vec<_> = tokens.places().map(ToString::to_string).collect();
                places.join(", then ")
            }
        }
    }

    fn signer(&self) -> &dyn Signer {
        match self {
            Self::Internal(key) => key,
            Self::Tokens(tokens) => tokens,
        }
    }
}

impl Signer for SigningKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.signer().algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.signer().public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.signer().sign(message)
    }
}
