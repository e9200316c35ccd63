//! The ground floor: what certfleet is about, as types.
//!
//! Ids, identifiers, entities and their state machines, and the ports through which time and chance
//! come in. Nothing here does IO or knows a database; every other crate stands on this one and it
//! stands on none of them.

mod access;
mod account;
mod authority;
mod authorization;
mod certificate;
mod challenge;
mod clock;
mod crl;
mod crl_shard;
mod delivery;
mod discovery;
mod drift;
mod eab_key;
mod fleet;
mod identifier;
mod ids;
mod limits;
mod names;
mod notice;
mod ocsp;
mod order;
mod pkcs11_uri;
mod problem;
mod profile;
mod project;
mod renewal;
mod trace_parent;
mod transition;

pub use access::{
    ApiToken, ApiTokenState, Grant, NotAdmitted, Permission, Role, Scope, Sight, UnknownRole,
};
pub use account::{Account, AccountStatus, Contact, InvalidContact};
pub use authority::{Authority, Issuer, Replacement};
pub use authorization::{Authorization, AuthorizationState, AuthorizationStatus};
pub use certificate::{
    Certificate, CertificateOrigin, CertificateState, Revocation, RevocationReason, Serial,
};
pub use challenge::{Challenge, ChallengeKind, ChallengeState, Token};
pub use clock::{Clock, ManualClock, SystemClock, SystemRng, Timestamp};
pub use crl::Crl;
pub use crl_shard::{CrlShard, NoSuchShard};
pub use delivery::{
    Agent, AgentCertificate, AgentState, CannotEnrol, Endpoint, FileContent, Fingerprint,
    Gathering, InvalidTarget, PathPattern, Placed, Placement, Slot, Target, TargetFile,
    TokenDigest, gather,
};
pub use discovery::{Discovered, Discovery};
pub use drift::{Drift, Expected, Finding, Served, Watch, WatchPolicy, judge};
pub use eab_key::{CannotBind, EabKey, EabKeyState};
pub use fleet::{
    Advice, Attempt, Budget, Capacity, Course, Current, DnsProof, Managed, Need, Next, ProofState,
    Reason, Setback, Solver, TsigAlgorithm, UnknownAlgorithm, Upstream, UpstreamBinding, Version,
    Workload, challenge_name, settled,
};
pub use identifier::{DnsName, Identifier, InvalidIdentifier};
pub use ids::{
    AccountId, AuthorizationId, CertificateId, ChallengeId, DiscoveryId, EabKeyId, EventId,
    InvalidId, IssuerId, LeaseToken, ManagedId, OrderId, PlacementId, ServerId, TokenId, VersionId,
    WatchId,
};
pub use limits::{
    AttemptTerms, Charge, InvalidRate, Limit, LimitKey, Rate, Verdict, registered_domain,
};
pub use names::{
    AgentName, AuthorityName, CommandName, InvalidName, ProfileName, ProjectName, SolverName,
    TargetName, UpstreamName,
};
pub use notice::{Channel, Notice, Stage, Topic, first_notice};
pub use ocsp::{CertIdHash, OcspResponse};
pub use order::{Order, OrderState, OrderStatus, Replaced};
pub use pkcs11_uri::{InvalidPkcs11Uri, Pkcs11Uri};
pub use problem::{Problem, ProblemKind};
pub use profile::{KeyUsage, Profile};
pub use project::Project;
pub use renewal::{RenewalWindow, renewal_due};
pub use trace_parent::{InvalidTraceParent, TraceParent};
pub use transition::InvalidTransition;

/// The largest number of identifiers in one order, as Let's Encrypt has it.
pub const MAX_IDENTIFIERS: usize = 100;
