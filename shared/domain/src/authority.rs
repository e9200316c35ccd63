//! An authority: a name, the issuer that signs for it, and the profiles it offers.

use time::Duration;

use crate::clock::Timestamp;
use crate::ids::IssuerId;
use crate::names::{AuthorityName, ProfileName};
use crate::profile::Profile;
use crate::renewal::RenewalWindow;

/// The public half of what signs for an authority. The key lies sealed, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its id.
    pub id: IssuerId,
    /// Its own certificate, DER.
    pub certificate: Vec<u8>,
    /// What leads from that certificate to the root, the root left out, DER. Empty if the root signed it.
    pub intermediates: Vec<Vec<u8>>,
    /// The root, DER.
    pub root: Vec<u8>,
}

/// A wish to have certificates replaced before their time: what ARI was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Those that were intended before this moment.
    pub issued_before: Timestamp,
    /// Since when it is wished.
    pub since: Timestamp,
    /// Within this time from then on, so that they do not all come at once; zero for now.
    pub within: Duration,
    /// A page that says why.
    pub explanation_url: Option<String>,
}

impl Replacement {
    /// When to replace them.
    pub fn window(&self) -> RenewalWindow {
        RenewalWindow::new(self.since, self.since + self.within)
            .unwrap_or_else(|| RenewalWindow::over_since(self.since))
    }
}

/// An authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub name: AuthorityName,
    /// What signs for it now.
    pub issuer: Issuer,
    /// What signed for it before; certificates signed by these are still about.
    pub retired_issuers: Vec<Issuer>,
    /// The profiles it offers: at least one, the first is the default.
    pub profiles: Vec<Profile>,
    /// Whether accounts have to be bound to somebody the administrator knows (RFC 8555 §7.3.4).
    pub external_account_required: bool,
    /// What its administrator wants replaced before its time (RFC 9773), if anything.
    pub replacement: Option<Replacement>,
    /// Grows by one with each write.
    pub version: i64,
}

impl Authority {
    /// What signs for it now, and what did before.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        std::iter::once(&self.issuer).chain(&self.retired_issuers)
    }

    /// The issuer of this id, be it the present one or one of before.
    pub fn issuer(&self, id: IssuerId) -> Option<&Issuer> {
        self.issuers().find(|issuer| issuer.id == id)
    }

    /// The profile of this name, or the default one.
    pub fn profile(&self, name: Option<&ProfileName>) -> Option<&Profile> {
        match name {
            None => self.profiles.first(),
            Some(name) => self.profiles.iter().find(|profile| profile.name == *name),
        }
    }
}
