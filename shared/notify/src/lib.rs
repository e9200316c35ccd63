//! Tells people: by mail over SMTP, and by a request to a URL. Knows no database, and nothing of who has told what.
//!
//! What is told twice, because whoever told it died before that was noted, is the same message twice: a mail has the same Message-ID,
//! and each notice of a request its own id.

mod mail;
mod server;
mod webhook;

use certfleet_outgoing::TrustError;

pub use mail::{Mail, MailSettings};
pub use server::{MailServer, Security};
pub use webhook::{Webhook, WebhookSettings};

/// Why people could not be told.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// An address is none.
    #[error("{0}")]
    Address(String),
    /// A file cannot be used.
    #[error("{0}")]
    File(String),
    /// Nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The mail server did not take it.
    #[error("the mail server: {0}")]
    Smtp(String),
    /// The request did not come to an answer.
    #[error("the webhook: {0}")]
    Http(String),
    /// The receiver refused it.
    #[error("the webhook answered {0}")]
    Answered(u16),
}
