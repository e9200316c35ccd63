//! Authorities that the fleet has certificates from.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use certfleet_audit::Act;
use certfleet_domain::{
    Budget, Clock as _, Contact, ProjectName, SystemClock, SystemRng, Upstream, UpstreamBinding,
    UpstreamName,
};
use certfleet_pki::certificates_from_pem;
use certfleet_secrets::Secret;
use certfleet_storage::{SecretName, Store, Vault, Which};
use zeroize::Zeroizing;

use crate::plan::Plan;
use crate::projects;
use crate::refused::Refused;

/// An authority that is to be added.
pub struct NewUpstream {
    /// Its name.
    pub name: UpstreamName,
    /// Whose it is.
    pub project: ProjectName,
    /// The URL of its directory.
    pub directory: String,
    /// The roots that the directory's own certificate may lead to, PEM; without it, those that the system trusts.
    pub roots: Option<String>,
    /// How the authority reaches whoever runs the fleet.
    pub contacts: Vec<Contact>,
    /// The profile to order.
    pub profile: Option<String>,
    /// How much of it the fleet may have.
    pub budget: Budget,
    /// What binds the fleet's account.
    pub binding: Option<NewBinding>,
}

/// What binds the fleet's account to one there (RFC 8555 §7.3.4).
pub struct NewBinding {
    /// The identifier of the key.
    pub kid: String,
    /// The MAC key.
    pub key: Zeroizing<Vec<u8>>,
    /// Where it is sealed.
    pub vault: Vault,
}

/// A MAC key as authorities give it. Some pad it, though base64url as RFC 8555 has it is not.
pub fn mac_key_from_base64url(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim();
    let key = URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text));
    key.ok().filter(|key| !key.is_empty()).map(Zeroizing::new)
}

/// An authority is added. A worker makes the fleet's account there when the first certificate is wanted.
pub async fn add(store: &Store, wish: NewUpstream) -> Result<Plan<Upstream>, Refused> {
    if let Some(roots) = &wish.roots {
        let found = certificates_from_pem(roots);
        if !found.is_ok_and(|found| !found.is_empty()) {
            let why = "the roots are no certificates, PEM";
            return Err(Refused::Conflict(why.to_owned()));
        }
    }
    projects::require(store, &wish.project).await?;
    let (binding, sealed) = match wish.binding {
        None => (None, None),
        Some(NewBinding { kid, key, vault }) => {
            let name = SecretName::UpstreamBinding(wish.name.clone());
            let secret = Secret::new(key.to_vec());
            let sealed = vault.insert(&name, &secret, &mut SystemRng).await?;
            (Some(UpstreamBinding { kid }), Some(sealed))
        }
    };
    let upstream = Upstream {
        name: wish.name,
        project: wish.project,
        directory: wish.directory,
        roots: wish.roots,
        contacts: wish.contacts,
        profile: wish.profile,
        binding,
        budget: wish.budget,
        account: None,
        created_at: SystemClock.now(),
        version: 0,
    };
    let unit = store.fleet.insert_upstream(&upstream)?;
    let target = format!("upstream/{}", upstream.name);
    let directory = upstream.directory.clone();
    Ok(Plan::new(upstream, unit.and(sealed.unwrap_or_default()))
        .recording(Act::CreateUpstream, target)
        .with_detail(directory)
        .if_taken("there is an authority of this name already"))
}

/// An authority is removed that no certificate is to be had from any more, and the key of the fleet's account there with it. The
/// account stays at the authority. A certificate that is added at the same moment keeps its name, and says that it is not there.
pub async fn remove(store: &Store, upstream: Upstream) -> Result<Plan<Upstream>, Refused> {
    let which = Which {
        upstream: Some(upstream.name.clone()),
        ..Which::all()
    };
    if !store.inventory.added(&which, None, 1).await?.is_empty() {
        let why = format!("certificates are to be had from {} yet", upstream.name);
        return Err(Refused::Conflict(why));
    }
    let secrets = [
        SecretName::UpstreamAccount(upstream.name.clone()).to_string(),
        SecretName::UpstreamBinding(upstream.name.clone()).to_string(),
    ];
    let mut unit = store.fleet.remove_upstream(&upstream);
    for name in store.secrets.present(&secrets).await? {
        unit = unit.and(store.secrets.remove(&name));
    }
    let target = format!("upstream/{}", upstream.name);
    Ok(Plan::new(upstream, unit).recording(Act::RemoveUpstream, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_key_is_taken_with_and_without_padding_and_nothing_else_is() {
        for good in ["AAECAw", "AAECAw==\n"] {
            assert_eq!(*mac_key_from_base64url(good).unwrap(), [0, 1, 2, 3]);
        }
        for wrong in ["", "AA+CAw", "not a key"] {
            assert!(mac_key_from_base64url(wrong).is_none(), "{wrong:?}");
        }
    }
}
