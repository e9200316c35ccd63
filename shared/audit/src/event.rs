//! What is recorded of an act.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use certfleet_domain::{AccountId, Clock, EventId, ServerId, SystemRng, Timestamp, TokenId};
use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;

macro_rules! acts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// What was done. A closed list: what is not in it is not recorded, and what is has one name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Act {
            $($(#[$doc])* $variant,)*
        }

        impl Act {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the log.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

acts! {
    /// An account was made.
    CreateAccount = "account.create",
    /// Its contacts were changed.
    UpdateAccount = "account.update",
    /// It was given up.
    DeactivateAccount = "account.deactivate",
    /// It got another key.
    ChangeAccountKey = "account.change-key",
    /// A key that binds accounts was made.
    CreateEabKey = "eab-key.create",
    /// It was taken away.
    RevokeEabKey = "eab-key.revoke",
    /// An account was taken away by the authority.
    RevokeAccount = "account.revoke",
    /// An order was made.
    CreateOrder = "order.create",
    /// Its certificate was asked for: from here on there is an intent to sign.
    FinalizeOrder = "order.finalize",
    /// An authorization was made beside any order.
    CreateAuthorization = "authorization.create",
    /// An authorization was given up.
    DeactivateAuthorization = "authorization.deactivate",
    /// A client asked for a challenge to be looked at.
    RespondToChallenge = "challenge.respond",
    /// A worker decided a challenge.
    DecideChallenge = "challenge.decide",
    /// A worker signed a certificate.
    IssueCertificate = "certificate.issue",
    /// A certificate was revoked.
    RevokeCertificate = "certificate.revoke",
    /// A worker made the key and the certificate that sign OCSP answers.
    CreateResponder = "ocsp.create-responder",
    /// All CRLs of an authority are to be built anew.
    RebuildCrls = "crl.rebuild",
    /// All of the database was written into a file.
    CreateBackup = "backup.create",
    /// The database came out of such a file.
    RestoreBackup = "backup.restore",
    /// An authority with its keys was made.
    CreateAuthority = "authority.create",
    /// Whether an authority's accounts have to be bound was changed.
    ChangeAuthority = "authority.change",
    /// An authority that the fleet has certificates from was added.
    CreateUpstream = "upstream.create",
    /// It was removed, with the key of the fleet's account.
    RemoveUpstream = "upstream.remove",
    /// A worker made the fleet's account there.
    JoinUpstream = "upstream.join",
    /// A managed certificate was added.
    CreateManaged = "managed.create",
    /// One that somebody else has had was taken over.
    ImportManaged = "managed.import",
    /// It is to be another one from now on.
    ChangeManaged = "managed.change",
    /// It is kept no more, and its keys are destroyed.
    RemoveManaged = "managed.remove",
    /// A person asked for its renewal.
    ForceRenewal = "managed.force",
    /// A worker has got a certificate for it.
    RenewManaged = "managed.renew",
    /// Its key was given out.
    ExportManaged = "managed.export",
    /// A zone that the fleet may change was added.
    CreateSolver = "solver.create",
    /// It was removed, with its key.
    RemoveSolver = "solver.remove",
    /// Proofs were published in a zone, and others removed.
    UpdateZone = "solver.update-zone",
    /// A host's agent was invited.
    InviteAgent = "agent.invite",
    /// It has come, and is known by its certificate from now on.
    EnrolAgent = "agent.enrol",
    /// It shows another certificate from now on.
    RenewAgent = "agent.renew",
    /// It was removed: its certificate counts no more.
    RemoveAgent = "agent.remove",
    /// A place to deliver to was added.
    CreateTarget = "target.create",
    /// It was removed.
    RemoveTarget = "target.remove",
    /// A certificate is to be delivered to a target.
    CreatePlacement = "placement.create",
    /// Its key was handed to the host's agent.
    HandOutKey = "placement.hand-out",
    /// The host has it now, or could not take it.
    DeliverCertificate = "placement.deliver",
    /// A place where a certificate should be served is looked at from now on.
    CreateWatch = "watch.create",
    /// It is looked at no more.
    RemoveWatch = "watch.remove",
    /// Places are looked at for what they serve from now on.
    CreateDiscoveries = "discovery.create",
    /// One of them is looked at no more.
    RemoveDiscovery = "discovery.remove",
    /// Something else is served there than before: `refused` if it is not what should be.
    FindDrift = "watch.find",
    /// The certificate is delivered anew because of that.
    RepairDrift = "watch.repair",
    /// A project was added.
    CreateProject = "project.create",
    /// It was removed.
    RemoveProject = "project.remove",
    /// A token of the REST API was made.
    CreateToken = "token.create",
    /// It counts no more.
    RevokeToken = "token.revoke",
    /// A notice was asked for, to know whether notices arrive.
    TestNotices = "notice.test",
    /// A maintenance began: no new orders.
    BeginMaintenance = "maintenance.begin",
    /// It ended.
    EndMaintenance = "maintenance.end",
    /// A dead job was made due again.
    RetryJob = "job.retry",
    /// A dead job was put away.
    DiscardJob = "job.discard",
    /// A kind of job is claimed no more.
    PauseJobs = "jobs.pause",
    /// It is claimed again.
    ResumeJobs = "jobs.resume",
    /// A name that was paused was let free.
    LiftPause = "limits.lift",
    /// A secret that the whole cluster shares was made by a service.
    CreateSecret = "secret.create",
    /// Another KEK seals from now on.
    RotateKek = "kek.rotate",
    /// Entries of the audit trail that were kept for long enough go.
    TrimAudit = "audit.trim",
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An ACME account, by its key.
    Account(AccountId),
    /// Whoever has a key that belongs to no account: newAccount, and revocation by the certificate's own key.
    Key(String),
    /// A person at the command line, by the name the system has for them.
    Operator(String),
    /// Whoever shows a token of the REST API.
    Token(TokenId),
    /// A host's agent, by its certificate.
    Agent(String),
    /// A service, by itself.
    Service(&'static str),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account/{id}"),
            Self::Key(thumbprint) => write!(f, "key/{thumbprint}"),
            Self::Operator(name) => write!(f, "operator/{name}"),
            Self::Token(id) => write!(f, "token/{id}"),
            Self::Agent(name) => write!(f, "agent/{name}"),
            Self::Service(name) => write!(f, "service/{name}"),
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Looked at, and decided against.
    Refused,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Refused => "refused",
        })
    }
}

/// From where an act came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The process that carried it out.
    pub server: ServerId,
    /// Who did it.
    pub actor: Actor,
    /// The client's address, if there was one.
    pub address: Option<IpAddr>,
    /// The request's id, by which its log lines are found.
    pub request: Option<String>,
}

impl Sender {
    /// A service, by itself.
    pub fn service(server: ServerId, name: &'static str) -> Self {
        Self {
            server,
            actor: Actor::Service(name),
            address: None,
            request: None,
        }
    }
}

/// An act, as it is recorded. Its [`line`](Self::line) is what is hashed, stored and exported.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    v: u8,
    id: EventId,
    #[serde(serialize_with = "moment")]
    at: Timestamp,
    server: ServerId,
    #[serde(serialize_with = "text")]
    actor: Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(serialize_with = "text")]
    act: Act,
    target: String,
    #[serde(serialize_with = "text")]
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
}

impl Event {
    /// The longest detail, in characters; the rest is cut.
    pub const LONGEST_DETAIL: usize = 1000;

    /// An act on `target` (such as `order/<id>`) of this moment, that was done.
    pub fn new(sender: &Sender, act: Act, target: impl fmt::Display, clock: &dyn Clock) -> Self {
        Self {
            v: 1,
            id: EventId::generate(clock, &mut SystemRng),
            at: clock.now(),
            server: sender.server,
            actor: sender.actor.clone(),
            address: sender.address,
            request: sender.request.clone(),
            act,
            target: target.to_string(),
            outcome: Outcome::Done,
            detail: None,
        }
    }

    /// The same, with this outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same, with more to say. Nothing secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        let text: String = detail
            .to_string()
            .chars()
            .take(Self::LONGEST_DETAIL)
            .collect();
        self.detail = Some(text.into());
        self
    }

    /// One line of JSON, without its end: the entry of the log.
    ///
    /// # Errors
    /// If a time cannot be written, which is one after the year 9999.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn moment<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let text = at.format(&Rfc3339).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

fn text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use certfleet_domain::ManualClock;

    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let clock = ManualClock::at(Timestamp::from_unix_timestamp(1_790_000_000).unwrap());
        let sender = Sender {
            server: "0190aaaaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap(),
            actor: Actor::Operator("a\n\"b".to_owned()),
            address: Some("2001:db8::1".parse().unwrap()),
            request: None,
        };
        let event = Event::new(&sender, Act::LiftPause, "pause/x", &clock)
            .with_outcome(Outcome::Refused)
            .with_detail("é\r\n");
        let line = event.line().unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        let (before, after) = line.split_once(&event.id.to_string()).unwrap();
        assert_eq!(before, "{\"v\":1,\"id\":\"");
        assert_eq!(
            after,
            "\",\"at\":\"2026-09-21T14:13:20Z\",\"server\":\"0190aaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\
             \"actor\":\"operator/a\\n\\\"b\",\"address\":\"2001:db8::1\",\"act\":\"limits.lift\",\
             \"target\":\"pause/x\",\"outcome\":\"refused\",\"detail\":\"é\\r\\n\"}"
        );
    }

    #[test]
    fn acts_have_names_of_their_own() {
        let names: BTreeSet<&str> = Act::ALL.iter().map(|act| act.name()).collect();
        assert_eq!(names.len(), Act::ALL.len());
    }
}
