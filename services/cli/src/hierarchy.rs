//! A new authority: its root and its intermediate, made here or brought along, and both keys sealed, stored in one step.

use anyhow::Context as _;
use certfleet_audit::Act;
use certfleet_domain::{
    Authority, AuthorityName, Clock, Issuer, IssuerId, Profile, Serial, Timestamp,
};
use certfleet_pki::{
    CaSubject, IntermediateTemplate, RootTemplate, Signer, certificates_from_pem, check_hierarchy,
    create_intermediate, create_root,
};
use certfleet_secrets::Secret;
use certfleet_signer::{InternalKey, KeyAlgorithm};
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
    pub root_key: KeyAlgorithm,
    /// The intermediate's key.
    pub issuer_key: KeyAlgorithm,
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
            root_key: KeyAlgorithm::EcdsaP256,
            issuer_key: KeyAlgorithm::EcdsaP256,
            root_years: 10,
            intermediate_years: 5,
        }
    }
}

/// An authority that is not stored yet.
pub struct NewAuthority {
    /// The authority.
    pub authority: Authority,
    root_key: Option<InternalKey>,
    issuer_key: InternalKey,
}

/// An authority that others have made, as PEM.
pub struct Import {
    /// The root's certificate.
    pub root: String,
    /// The issuing certificate and what leads from it to the root. Without it, the root issues.
    pub chain: Option<String>,
    /// The key of the issuing certificate.
    pub key: Zeroizing<String>,
}

impl Plan {
    /// Makes both keys and both certificates. Blocks: RSA keys take seconds.
    pub fn make(
        &self,
        name: AuthorityName,
        clock: &dyn Clock,
        rng: &mut dyn RngCore,
    ) -> anyhow::Result<NewAuthority> {
        let now = clock.now();
        let not_before = now.replace_millisecond(0).unwrap_or(now) - BACKDATE;
        let root_key = InternalKey::generate(self.root_key)?;
        let issuer_key = InternalKey::generate(self.issuer_key)?;
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
    /// Reads it, and checks that it can issue.
    pub fn read(
        &self,
        name: AuthorityName,
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
        let issuer_key = InternalKey::from_pem(&self.key).context("the key")?;
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
        unit = unit.and(
            vault
                .insert(&issuer, &pkcs8(&self.issuer_key)?, rng)
                .await?,
        );
        if let Some(root_key) = &self.root_key {
            let root = SecretName::RootKey(authority.name.clone());
            unit = unit.and(vault.insert(&root, &pkcs8(root_key)?, rng).await?);
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
        version: 0,
    }
}

/// The last second that counts (RFC 5280 §4.1.2.5).
fn end(start: Timestamp, years: u16) -> Timestamp {
    start.saturating_add(Duration::days(365 * i64::from(years)) - Duration::SECOND)
}

fn pkcs8(key: &InternalKey) -> anyhow::Result<Secret> {
    Ok(key.to_pkcs8_der()?.into())
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{ManualClock, SystemClock, SystemRng};
    use certfleet_pki::{certificate_pem, validity_of_certificate};

    use super::*;

    fn made(clock: &dyn Clock) -> NewAuthority {
        let name = "default".parse().unwrap();
        Plan::default().make(name, clock, &mut SystemRng).unwrap()
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
        let import = Import {
            root: certificate_pem(&issuer.root),
            chain: Some(certificate_pem(&issuer.certificate) + &certificate_pem(&issuer.root)),
            key: other.issuer_key.to_pkcs8_pem().unwrap(),
        };
        let name = || "imported".parse().unwrap();
        let read = import.read(name(), &SystemClock, &mut SystemRng).unwrap();
        assert_eq!(read.authority.issuer.certificate, issuer.certificate);
        assert!(read.authority.issuer.intermediates.is_empty());
        let root_alone = Import {
            chain: None,
            ..import
        };
        let refused = root_alone.read(name(), &SystemClock, &mut SystemRng);
        assert!(refused.err().unwrap().to_string().contains("key"));
    }
}
