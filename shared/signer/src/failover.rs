//! One key in several tokens: the first that signs does.

use std::sync::Arc;

use certfleet_domain::{Clock, Pkcs11Uri};
use certfleet_pkcs11::{KeyKind, TokenAccess, TokenKey};
use certfleet_pki::{BadSignature, SignatureAlgorithm, Signer, SignerError, public_key_strength};

use crate::breaker::Breaker;
use crate::internal::KeyError;
use crate::token::{public_half, sign};

/// A key in tokens, in the order in which they are tried. One that fails five times in a row is left alone for 30 s.
pub struct Tokens {
    members: Vec<Member>,
    algorithm: SignatureAlgorithm,
    public: Vec<u8>,
    clock: Arc<dyn Clock>,
}

struct Member {
    key: TokenKey,
    breaker: Breaker,
}

impl Tokens {
    pub(crate) fn new(
        keys: Vec<TokenKey>,
        algorithm: SignatureAlgorithm,
        public: Vec<u8>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let member = |key| Member {
            key,
            breaker: Breaker::default(),
        };
        Self {
            members: keys.into_iter().map(member).collect(),
            algorithm,
            public,
            clock,
        }
    }

    pub(crate) fn find(
        places: &[Pkcs11Uri],
        access: &TokenAccess,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let mut keys = places
            .iter()
            .map(|place| access.key(place, KeyKind::Private))
            .collect::<Vec<_>>()
            .into_iter();
        let first = keys.next().ok_or(KeyError::Unsupported)?;
        let (algorithm, public) = public_half(&first)?;
        let mut found = vec![first];
        for key in keys {
            if public_half(&key)? != (algorithm, public.clone()) {
                return Err(KeyError::Token(format!(
                    "the key {} is not the key {}",
                    key.uri(),
                    found[0].uri()
                )));
            }
            found.push(key);
        }
        let tokens = Self::new(found, algorithm, public, clock);
        public_key_strength(&tokens.spki_der())?;
        Ok(tokens)
    }

    /// Where the key is.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Pkcs11Uri> {
        self.members.iter().map(|member| member.key.uri())
    }

    /// A signature that is not this key's counts as none: a token may hold another key by the same label.
    fn ask(&self, member: &Member, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let signature = sign(&member.key, self.algorithm, message)?;
        match self.algorithm.verify(&self.public, message, &signature) {
            Ok(()) => Ok(signature),
            Err(BadSignature) => Err(SignerError::Refused(format!(
                "{} signs with another key than the certificate's",
                member.key.uri()
            ))),
        }
    }
}

impl Signer for Tokens {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let mut last = None;
        for member in &self.members {
            if !member.breaker.lets_through(self.clock.now()) {
                continue;
            }
            match self.ask(member, message) {
                Ok(signature) => {
                    member.breaker.worked();
                    return Ok(signature);
                }
                Err(error) => {
                    let key = member.key.uri();
                    tracing::warn!(%key, %error, "a token did not sign");
                    if member.breaker.failed(self.clock.now()) {
                        tracing::error!(%key, "it is left alone for half a minute at a time");
                    }
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| {
            SignerError::Unavailable(
                "no token that has the key could sign lately: they are left alone for half a minute at a time"
                    .to_owned(),
            )
        }))
    }
}
