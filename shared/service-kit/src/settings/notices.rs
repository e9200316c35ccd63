//! `notices`: by what people are told without having asked.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::secret_text::SecretText;
use super::section::{Complaint, Section, require};
use super::smtp::SmtpServer;
use super::text::text;
use super::urls::WebUrl;

/// By what people are told without having asked. It is on record in any case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notices {
    /// The mail server, such as `smtps://pki@mail.example.org`; without it, no mails.
    pub smtp: Option<SmtpServer>,
    /// The password of whoever signs in there.
    pub smtp_password: Option<SecretText>,
    /// From whom mails are.
    pub from: Option<String>,
    /// To whom they go.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets one that the others do not know of.
    pub bcc: Vec<String>,
    /// What subjects begin with.
    pub subject_prefix: String,
    /// Where a request goes to; without it, nowhere.
    pub webhook: Option<WebUrl>,
    /// The bearer token that it shows.
    pub webhook_token: Option<SecretText>,
    /// The roots of the receivers' certificates, PEM; those of the system without it.
    pub ca_file: Option<PathBuf>,
    /// How long it may take to tell somebody.
    #[serde(deserialize_with = "text")]
    pub timeout: Duration,
    /// The longest that is waited between two tries.
    #[serde(deserialize_with = "text")]
    pub retry_max_delay: Duration,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            smtp: None,
            smtp_password: None,
            from: None,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            subject_prefix: "[certfleet] ".to_owned(),
            webhook: None,
            webhook_token: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
            retry_max_delay: Duration::from_secs(3600),
        }
    }
}

impl Section for Notices {
    const NAME: &'static str = "notices";

    fn check(&self) -> Result<(), Complaint> {
        let mails = self.smtp.is_some();
        require(
            !mails || (self.from.is_some() && !self.to.is_empty()),
            "smtp",
            "it is given: notices.from and notices.to are due as well",
        )?;
        require(
            mails || (self.from.is_none() && self.to.is_empty()),
            "to",
            "notices.smtp is due, by which mails go",
        )?;
        let signs_in = self
            .smtp
            .as_ref()
            .is_some_and(|server| server.user.is_some());
        require(
            self.smtp_password.is_some() == signs_in,
            "smtp_password",
            "it goes together with a user in notices.smtp, as in smtps://user@host",
        )?;
        let secure = |url: &WebUrl| url.as_str().starts_with("https://");
        require(
            self.webhook_token.is_none() || self.webhook.as_ref().is_some_and(secure),
            "webhook_token",
            "it is given, but notices.webhook is not https",
        )?;
        let tries = Duration::from_secs(60)..=Duration::from_secs(86_400);
        require(
            tries.contains(&self.retry_max_delay),
            "retry_max_delay",
            "1m to 1d is due",
        )?;
        let bounds = Duration::from_secs(1)..=Duration::from_secs(60);
        require(
            bounds.contains(&self.timeout),
            "timeout",
            "1s to 60s is due",
        )
    }
}
