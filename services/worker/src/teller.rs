//! What tells people, by the channels that the settings have.

use std::time::Duration;

use anyhow::Context as _;
use certfleet_domain::{Channel, Notice};
use certfleet_notify::{
    Mail, MailServer, MailSettings, NotifyError, Security, Webhook, WebhookSettings,
};
use certfleet_service_kit::settings::{Notices, SecretText, SmtpSecurity};
use url::Url;
use zeroize::Zeroizing;

/// The channels that there are.
pub struct Teller {
    mail: Option<Mail>,
    webhook: Option<Webhook>,
    /// The longest that is waited between two tries.
    pub longest_wait: Duration,
}

fn secret(text: &SecretText) -> Zeroizing<String> {
    Zeroizing::new(text.expose().to_owned())
}

impl Teller {
    /// By these settings.
    ///
    /// # Errors
    /// They cannot be used: an address is none, or a file cannot be read.
    pub fn new(settings: &Notices) -> anyhow::Result<Self> {
        Ok(Self {
            mail: mail(settings)?,
            webhook: webhook(settings).context("notices.webhook")?,
            longest_wait: settings.retry_max_delay,
        })
    }

    /// Tells all of these by one channel. `None` if nobody has set it up.
    pub async fn tell(
        &self,
        channel: Channel,
        notices: &[Notice],
    ) -> Option<Result<(), NotifyError>> {
        match channel {
            Channel::Mail => Some(self.mail.as_ref()?.tell(notices).await),
            Channel::Webhook => Some(self.webhook.as_ref()?.tell(notices).await),
        }
    }
}

fn mail(settings: &Notices) -> anyhow::Result<Option<Mail>> {
    let Some(server) = &settings.smtp else {
        return Ok(None);
    };
    let server = MailServer {
        host: server.host.clone(),
        port: server.port,
        security: match server.security {
            SmtpSecurity::Tls => Security::Tls,
            SmtpSecurity::StartTls => Security::StartTls,
            SmtpSecurity::Plain => Security::Plain,
        },
        user: server.user.clone(),
    };
    let mail = MailSettings {
        server,
        password: settings.smtp_password.as_ref().map(secret),
        roots: settings.ca_file.clone(),
        from: settings.from.clone().unwrap_or_default(),
        to: settings.to.clone(),
        cc: settings.cc.clone(),
        bcc: settings.bcc.clone(),
        prefix: settings.subject_prefix.clone(),
        patience: settings.timeout,
    };
    Ok(Some(Mail::new(&mail).context("notices")?))
}

fn webhook(settings: &Notices) -> anyhow::Result<Option<Webhook>> {
    let Some(url) = &settings.webhook else {
        return Ok(None);
    };
    let webhook = WebhookSettings {
        url: Url::parse(url.as_str())?,
        token: settings.webhook_token.as_ref().map(secret),
        roots: settings.ca_file.clone(),
        patience: settings.timeout,
    };
    Ok(Some(Webhook::new(webhook)?))
}
