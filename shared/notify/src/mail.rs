//! By mail.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use certfleet_domain::Notice;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use zeroize::Zeroizing;

use crate::NotifyError;
use crate::server::{MailServer, Security};

/// From whom, to whom, and by which server.
pub struct MailSettings {
    /// The server.
    pub server: MailServer,
    /// The password of whoever signs in there.
    pub password: Option<Zeroizing<String>>,
    /// The roots of its certificate, PEM; those of the system without it.
    pub roots: Option<PathBuf>,
    /// From whom.
    pub from: String,
    /// To whom; at least one.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets one that the others do not know of.
    pub bcc: Vec<String>,
    /// What subjects begin with.
    pub prefix: String,
    /// How long it may take.
    pub patience: Duration,
}

/// Sends mails.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    envelope: MessageBuilder,
    prefix: String,
}

impl Mail {
    /// By these settings.
    ///
    /// # Errors
    /// An address is none, or the roots cannot be read.
    pub fn new(settings: &MailSettings) -> Result<Self, NotifyError> {
        let server = &settings.server;
        let tls = match server.security {
            Security::Plain => Tls::None,
            Security::StartTls => Tls::Required(parameters(settings)?),
            Security::Tls => Tls::Wrapper(parameters(settings)?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(settings.patience));
        if let (Some(user), Some(password)) = (&server.user, &settings.password) {
            let credentials = Credentials::new(user.clone(), password.to_string());
            transport = transport.credentials(credentials);
        }
        Ok(Self {
            transport: transport.build(),
            envelope: envelope(settings)?,
            prefix: settings.prefix.clone(),
        })
    }

    /// Tells all of these in one mail.
    ///
    /// # Errors
    /// The server did not take it for everybody.
    pub async fn tell(&self, notices: &[Notice]) -> Result<(), NotifyError> {
        let message = self.message(notices)?;
        let sent = self.transport.send(message).await;
        sent.map(|_| ())
            .map_err(|error| NotifyError::Smtp(told(&error)))
    }

    fn message(&self, notices: &[Notice]) -> Result<Message, NotifyError> {
        let first = notices.first().map_or("", |notice| notice.subject.as_str());
        let subject = match notices.len() {
            0 | 1 => first.to_owned(),
            more => format!("{more} notices: {first}"),
        };
        let told = notices.iter().map(|notice| {
            let at = notice.created_at;
            let at = at.replace_nanosecond(0).unwrap_or(at);
            format!("{}\n{}\n({at})\n", notice.subject, notice.text)
        });
        let text = told.collect::<Vec<_>>().join("\n");
        let ids: Vec<&str> = notices.iter().map(|notice| notice.id.as_str()).collect();
        let known = hex::encode(digest(&SHA256, ids.join("\n").as_bytes()));
        self.envelope
            .clone()
            .subject(format!("{}{subject}", self.prefix))
            .message_id(Some(format!("<{known}@certfleet>")))
            .body(text)
            .map_err(|error| NotifyError::Address(error.to_string()))
    }
}

fn parameters(settings: &MailSettings) -> Result<TlsParameters, NotifyError> {
    let file = |why: String| NotifyError::File(why);
    let mut tls = TlsParameters::builder(settings.server.host.clone());
    if let Some(path) = &settings.roots {
        let shown = |why: String| file(format!("{}: {why}", path.display()));
        let roots = fs::read(path).map_err(|error| shown(error.to_string()))?;
        let roots = Certificate::from_pem(&roots).map_err(|error| shown(error.to_string()))?;
        tls = tls
            .certificate_store(CertificateStore::None)
            .add_root_certificate(roots);
    }
    tls.build_rustls().map_err(|error| file(error.to_string()))
}

fn envelope(settings: &MailSettings) -> Result<MessageBuilder, NotifyError> {
    let mailbox = |text: &String| {
        let read: Result<Mailbox, _> = text.parse();
        read.map_err(|error| NotifyError::Address(format!("{text:?} is no mail address: {error}")))
    };
    let mut envelope = Message::builder().from(mailbox(&settings.from)?);
    for to in &settings.to {
        envelope = envelope.to(mailbox(to)?);
    }
    for cc in &settings.cc {
        envelope = envelope.cc(mailbox(cc)?);
    }
    for bcc in &settings.bcc {
        envelope = envelope.bcc(mailbox(bcc)?);
    }
    Ok(envelope)
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{Clock as _, EventId, SystemClock, SystemRng};

    use super::*;

    fn settings() -> MailSettings {
        MailSettings {
            server: MailServer {
                host: "127.0.0.1".to_owned(),
                port: 1,
                security: Security::Plain,
                user: None,
            },
            password: None,
            roots: None,
            from: "certfleet <pki@example.org>".to_owned(),
            to: vec!["oncall@example.org".to_owned()],
            cc: vec!["team@example.org".to_owned()],
            bcc: vec!["archive@example.org".to_owned()],
            prefix: "[certfleet] ".to_owned(),
            patience: Duration::from_secs(1),
        }
    }

    fn notice() -> Notice {
        let id = EventId::generate(&SystemClock, &mut SystemRng);
        Notice::of_test(id, SystemClock.now())
    }

    #[test]
    fn several_are_one_mail_that_is_known_again_and_hides_who_is_hidden() {
        let mail = Mail::new(&settings()).unwrap();
        let both = [notice(), notice()];
        let one = mail.message(&both[..1]).unwrap();
        let two = mail.message(&both).unwrap();
        let text = |message: &Message| String::from_utf8(message.formatted()).unwrap();
        assert!(text(&one).contains("Subject: [certfleet] this is a test\r\n"));
        assert!(text(&two).contains("Subject: [certfleet] 2 notices: this is a test\r\n"));
        assert_eq!(text(&two).matches("Somebody wanted to know").count(), 2);
        assert!(text(&one).contains("Cc: team@example.org"));
        assert!(!text(&one).contains("archive@example.org"));
        assert_eq!(one.envelope().to().len(), 3);
        let id = |message: &Message| {
            let text = text(message);
            let line = text.lines().find(|line| line.starts_with("Message-ID"));
            line.unwrap().to_owned()
        };
        assert_eq!(id(&two), id(&mail.message(&both).unwrap()));
        assert_ne!(id(&one), id(&two));
    }

    #[test]
    fn a_wrong_address_is_named() {
        let wrong = MailSettings {
            to: vec!["nobody".to_owned()],
            ..settings()
        };
        let error = Mail::new(&wrong).err().unwrap();
        assert!(error.to_string().contains("\"nobody\""), "{error}");
    }
}
