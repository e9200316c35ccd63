//! The names of the collections, in one place.

/// ACME accounts.
pub const ACCOUNTS: &str = "accounts";
/// Keys that bind accounts.
pub const EAB_KEYS: &str = "eab_keys";
/// ACME orders.
pub const ORDERS: &str = "orders";
/// ACME authorizations with their challenges.
pub const AUTHORIZATIONS: &str = "authorizations";
/// Certificates, from the moment they are intended.
pub const CERTIFICATES: &str = "certificates";
/// The index by which a CRL's entries are read.
pub const CERTIFICATES_REVOKED: &str = "revoked";
/// The index of those that are revoked and in no CRL yet.
pub const CERTIFICATES_UNLISTED: &str = "unlisted";
/// Authorities: issuers' certificates and profiles.
pub const AUTHORITIES: &str = "authorities";
/// Nonces that were spent.
pub const NONCES: &str = "nonces";
/// Jobs.
pub const JOBS: &str = "jobs";
/// The index by which jobs are claimed.
pub const JOBS_DUE: &str = "due";
/// The index by which finished jobs are removed after their time.
pub const JOBS_FINISHED: &str = "finished";
/// Leases that processes hold on a role.
pub const LEASES: &str = "leases";
/// The duties of who leads, and which run of each was enqueued last.
pub const DUTIES: &str = "duties";
/// Processes and when each was last seen.
pub const PROCESSES: &str = "processes";
/// Sealed secrets.
pub const SECRETS: &str = "secrets";
/// Certificate revocation lists, signed.
pub const CRLS: &str = "crls";
/// OCSP answers, signed.
pub const OCSP_RESPONSES: &str = "ocsp_responses";
/// Authorities that the fleet has certificates from.
pub const UPSTREAMS: &str = "upstreams";
/// Managed certificates.
pub const MANAGED: &str = "managed_certificates";
/// The index of managed certificates by their project.
pub const MANAGED_OF_PROJECT: &str = "of_project";
/// By their authorities.
pub const MANAGED_FROM: &str = "from";
/// Of those that have failed.
pub const MANAGED_FAILING: &str = "failing_in_order";
/// By when they expire.
pub const MANAGED_EXPIRING: &str = "expiring";
/// By their names, from the end.
pub const MANAGED_SEARCH: &str = "search";
/// The certificates that managed ones have had.
pub const VERSIONS: &str = "managed_versions";
/// What authorities that validate names of the fleet by http-01 are to find.
pub const CHALLENGE_ANSWERS: &str = "challenge_answers";
/// Hosts' agents.
pub const AGENTS: &str = "agents";
/// When each was heard of last.
pub const AGENT_SIGHTINGS: &str = "agent_sightings";
/// Places that certificates of the fleet are delivered to.
pub const TARGETS: &str = "targets";
/// Which certificate is to be at which target, and which version is there.
pub const PLACEMENTS: &str = "placements";
/// Zones that the fleet may change.
pub const SOLVERS: &str = "solvers";
/// Records that are to be there to prove names, or not any more.
pub const DNS_PROOFS: &str = "dns_proofs";
/// Where certificates of the fleet should be served, and what was found there.
pub const WATCHES: &str = "watches";
/// Places that are looked at for what they serve.
pub const DISCOVERIES: &str = "discoveries";
/// What people are told without having asked.
pub const NOTICES: &str = "notices";
/// What belongs to whom.
pub const PROJECTS: &str = "projects";
/// Tokens of the REST API.
pub const TOKENS: &str = "api_tokens";
/// When each was used last.
pub const TOKEN_USES: &str = "api_token_uses";
/// What was answered to requests that may come again.
pub const IDEMPOTENCY: &str = "idempotency_keys";
/// Which KEK secrets are sealed under.
pub const KEKS: &str = "keks";
/// What people have switched for the whole cluster.
pub const SWITCHES: &str = "switches";
/// What rate limits have let through, and names that are paused.
pub const LIMITS: &str = "limits";
/// Events of the audit trail that have no number yet.
pub const AUDIT_OUTBOX: &str = "audit_outbox";
/// The audit trail: blocks of events, each with its number and its link of the chain.
pub const AUDIT_LOG: &str = "audit_log";
/// What the audit trail was at some moments, signed.
pub const AUDIT_CHECKPOINTS: &str = "audit_checkpoints";
/// Where the audit trail ends, and its public key.
pub const AUDIT_STATE: &str = "audit_state";
/// Schema migrations that were applied.
pub const MIGRATIONS: &str = "schema_migrations";

/// All of them.
pub const ALL: &[&str] = &[
    ACCOUNTS,
    EAB_KEYS,
    ORDERS,
    AUTHORIZATIONS,
    CERTIFICATES,
    AUTHORITIES,
    NONCES,
    JOBS,
    LEASES,
    DUTIES,
    PROCESSES,
    SECRETS,
    KEKS,
    UPSTREAMS,
    MANAGED,
    VERSIONS,
    CHALLENGE_ANSWERS,
    AGENTS,
    AGENT_SIGHTINGS,
    TARGETS,
    PLACEMENTS,
    SOLVERS,
    DNS_PROOFS,
    WATCHES,
    DISCOVERIES,
    NOTICES,
    PROJECTS,
    TOKENS,
    TOKEN_USES,
    IDEMPOTENCY,
    CRLS,
    OCSP_RESPONSES,
    SWITCHES,
    LIMITS,
    AUDIT_OUTBOX,
    AUDIT_LOG,
    AUDIT_CHECKPOINTS,
    AUDIT_STATE,
    MIGRATIONS,
];
