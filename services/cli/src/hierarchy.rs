//! A new authority: its root and its intermediate, made here or brought along, and both keys sealed, stored in one step.

use std::sync::Arc;

use anyhow::Context as _;
use certfleet_audit::Act;
use certfleet_domain::{
    Authority, AuthorityName, Clock, Issuer, IssuerId, Pkcs11Uri, Profile, Serial, SystemClock,
    Timestamp,
};
use certfleet_pkcs11::TokenAccess;
use certfleet_pki::{
    CaSubject, IntermediateTemplate, RootTemplate, Signer, certificates_from_pem, check_hierarchy,
    create_intermediate, create_root,
};
use certfleet_secrets::Secret;
use certfleet_signer::{InternalKey, KeyAlgorithm, KeyError, SigningKey};
use certfleet_storage::{CommitError, SecretName, Store, Vault};
use rand::RngCore;
use time::Duration;
use zeroize::Zeroizing;

use crate::operator::Operator;

/// How far before its making an authority's own certificates become valid. A certificate's validity has to lie within
/// its issuer's and begins an hour before it is signed, and clients' clocks run late.
const BACKDATE: Duration = Duration::hours(24);

/// What an authority's own certificates are to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The organization in their subjects.
    pub organization: String,
    /// The country in their subjects, two letters.
    pub country: Option<String>,
    /// The root's key.
    pub root_key: KeyPlan,
    /// The intermediate's key.
    pub issuer_key: KeyPlan,
    /// How long the root is valid, in years of 365 days.
    pub root_years: u16,
    /// How long the intermediate is valid, in years of 365 days; no longer than the root.
    pub intermediate_years: u16,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            organization: "certfleet".to_owned(),
            country: None,
            root_key: KeyPlan::Made(KeyAlgorithm::EcdsaP256),
            issuer_key: KeyPlan::Made(KeyAlgorithm::EcdsaP256),
            root_years: 10,
            intermediate_years: 5,
        }
    }
}

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlan {
    /// It is made, and kept sealed in the database.
    Made(KeyAlgorithm),
    /// It is in these tokens, the same in each, tried in this order.
    InTokens(Vec<Pkcs11Uri>),
}

impl KeyPlan {
    /// The key. Blocks: RSA keys take seconds, and tokens what they like.
    pub fn key(&self, tokens: Option<&TokenAccess>) -> Result<SigningKey, KeyError> {
        match self {
            Self::Made(algorithm) => Ok(SigningKey::Internal(InternalKey::generate(*algorithm)?)),
            Self::InTokens(places) => {
                let access = tokens.ok_or(KeyError::NoModule)?;
                SigningKey::in_tokens(places, access, Arc::new(SystemClock))
            }
        }
    }
}

/// An authority that is not stored yet.
pub struct NewAuthority {
    /// The authority.
    pub authority: Authority,
    root_key: Option<SigningKey>,
    issuer_key: SigningKey,
}

/// An authority that others have made, as PEM.
pub struct Import {
    /// The root's certificate.
    pub root: String,
    /// The issuing certificate and what leads from it to the root. Without it, the root issues.
    pub chain: Option<String>,
    /// The key of the issuing certificate.
    pub key: ImportedKey,
}

/// A key that others have made.
pub enum ImportedKey {
    /// As PEM; it is kept sealed in the database.
    Pem(Zeroizing<String>),
    /// It is in these tokens, and stays there.
    InTokens(Vec<Pkcs11Uri>),
}

impl Plan {
    /// Makes both certificates, and the keys that are not in tokens. Blocks: RSA keys take seconds.
    pub fn make(
        &self,
        name: AuthorityName,
        tokens: Option<&TokenAccess>,
        clock: &dyn Clock,
        rng: &mut dyn RngCore,
    ) -> anyhow::Result<NewAuthority> {
        let now = clock.now();
        let not_before = now.replace_millisecond(0).unwrap_or(now) - BACKDATE;
        let root_key = self.root_key.key(tokens).context("the root's key")?;
        let issuer_key = self.issuer_key.key(tokens).context("the issuer's key")?;
        let serial = Serial::generate(rng);
        let root = RootTemplate {
            subject: self.subject(&name, "Root", serial)?,
            serial,
            not_before,
            not_after: end(not_before, self.root_years),
        };
        let root = create_root(&root, &root_key).context("the root")?;
        let serial = Serial::generate(rng);
        let intermediate = IntermediateTemplate {
            subject: self.subject(&name, "Issuer", serial)?,
            serial,
            not_before,
            not_after: end(not_before, self.intermediate_years),
            spki_der: &issuer_key.spki_der(),
            crl_url: None,
            issuer_url: None,
        };
        let certificate =
            create_intermediate(&intermediate, &root, &root_key).context("the intermediate")?;
        let issuer = Issuer {
            id: IssuerId::generate(clock, rng),
            certificate,
            intermediates: Vec::new(),
            root,
        };
        Ok(NewAuthority {
            authority: authority(name, issuer),
            root_key: Some(root_key),
            issuer_key,
        })
    }

    /// With a mark out of the serial number: two certificates of the same name and different keys confuse clients.
    fn subject(
        &self,
        name: &AuthorityName,
        role: &str,
        serial: Serial,
    ) -> anyhow::Result<CaSubject> {
        let serial = serial.to_string();
        let mark = serial.get(2..8).unwrap_or(&serial);
        let common_name = format!("{name} {role} {mark}");
        Ok(CaSubject::new(
            &common_name,
            &self.organization,
            self.country.as_deref(),
        )?)
    }
}

impl Import {
    /// Reads it, and checks that it can issue. Blocks where the key is in a token.
    pub fn read(
        &self,
        name: AuthorityName,
        tokens: Option<&TokenAccess>,
        clock: &dyn Clock,
        rng: &mut dyn RngCore,
    ) -> anyhow::Result<NewAuthority> {
        let root = certificates_from_pem(&self.root).context("the root")?;
        let [root] = root.as_slice() else {
            anyhow::bail!(
                "the root: one certificate is due, and there are {}",
                root.len()
            );
        };
        let mut chain = match &self.chain {
            Some(chain) => certificates_from_pem(chain).context("the chain")?,
            None => vec![root.clone()],
        };
        let certificate = chain.remove(0);
        chain.retain(|certificate| certificate != root);
        let issuer_key = match &self.key {
            ImportedKey::Pem(pem) => InternalKey::from_pem(pem).map(SigningKey::Internal),
            ImportedKey::InTokens(places) => KeyPlan::InTokens(places.clone()).key(tokens),
        }
        .context("the key")?;
        check_hierarchy(root, &chain, &certificate, &issuer_key, clock.now())?;
        let issuer = Issuer {
            id: IssuerId::generate(clock, rng),
            certificate,
            intermediates: chain,
            root: root.clone(),
        };
        Ok(NewAuthority {
            authority: authority(name, issuer),
            root_key: None,
            issuer_key,
        })
    }
}

impl NewAuthority {
    /// Stores the authority with its sealed keys, on record, all or nothing; `None` if there is an authority of its name already.
    pub async fn store(
        self,
        store: &Store,
        vault: &Vault,
        rng: &mut (dyn RngCore + Send),
        operator: &Operator,
    ) -> anyhow::Result<Option<Authority>> {
        let authority = self.authority;
        let target = format!("authority/{}", authority.name);
        let event = operator.event(Act::CreateAuthority, target);
        let mut unit = store.authorities.insert(&authority)?.recording(&event)?;
        let issuer = SecretName::IssuerKey(authority.issuer.id);
        unit = unit.and(vault.insert(&issuer, &kept(&self.issuer_key)?, rng).await?);
        if let Some(root_key) = &self.root_key {
            let root = SecretName::RootKey(authority.name.clone());
            unit = unit.and(vault.insert(&root, &kept(root_key)?, rng).await?);
        }
        match store.commit(unit).await {
            Ok(()) => Ok(Some(authority)),
            Err(CommitError::Duplicate { .. } | CommitError::Changed { .. }) => Ok(None),
            Err(CommitError::Storage(error)) => Err(error.into()),
        }
    }
}

fn authority(name: AuthorityName, issuer: Issuer) -> Authority {
    Authority {
        name,
        issuer,
        retired_issuers: Vec::new(),
        profiles: vec![Profile::classic(), Profile::shortlived()],
        external_account_required: false,
        replacement: None,
        version: 0,
    }
}

/// The last second that counts (RFC 5280 §4.1.2.5).
fn end(start: Timestamp, years: u16) -> Timestamp {
    start.saturating_add(Duration::days(365 * i64::from(years)) - Duration::SECOND)
}

fn kept(key: &SigningKey) -> anyhow::Result<Secret> {
    Ok(key.to_be_kept()?.into())
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{ManualClock, SystemClock, SystemRng};
    use certfleet_pki::{certificate_pem, validity_of_certificate};

    use super::*;

    fn made(clock: &dyn Clock) -> NewAuthority {
        let name = "default".parse().unwrap();
        Plan::default()
            .make(name, None, clock, &mut SystemRng)
            .unwrap()
    }

    #[test]
    fn what_is_made_can_issue_for_every_profile_from_the_first_second_on() {
        let clock = ManualClock::at(SystemClock.now());
        let made = made(&clock);
        let issuer = &made.authority.issuer;
        check_hierarchy(
            &issuer.root,
            &[],
            &issuer.certificate,
            &made.issuer_key,
            clock.now(),
        )
        .unwrap();
        let (start, end) = validity_of_certificate(&issuer.certificate).unwrap();
        for profile in &made.authority.profiles {
            let (not_before, not_after) = profile.validity(clock.now(), None, None);
            assert!(start <= not_before && not_after <= end, "{}", profile.name);
        }
    }

    #[test]
    fn what_is_brought_along_is_checked() {
        let other = made(&SystemClock);
        let issuer = &other.authority.issuer;
        let SigningKey::Internal(key) = &other.issuer_key else {
            panic!("it is in a token");
        };
        let import = Import {
            root: certificate_pem(&issuer.root),
            chain: Some(certificate_pem(&issuer.certificate) + &certificate_pem(&issuer.root)),
            key: ImportedKey::Pem(key.to_pkcs8_pem().unwrap()),
        };
        let name = || "imported".parse().unwrap();
        let read = import
            .read(name(), None, &SystemClock, &mut SystemRng)
            .unwrap();
        assert_eq!(read.authority.issuer.certificate, issuer.certificate);
        assert!(read.authority.issuer.intermediates.is_empty());
        let root_alone = Import {
            chain: None,
            ..import
        };
        let refused = root_alone.read(name(), None, &SystemClock, &mut SystemRng);
        assert!(refused.err().unwrap().to_string().contains("key"));
    }
}
