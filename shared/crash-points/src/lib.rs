//! Named places in the code at which a drill has the process killed or paused: between the moments that matter, where no
//! clock would ever hit.
//!
//! Code says [`reach`]; release builds compile it to nothing unless the feature `armed` is on. Elsewhere it does nothing
//! unless `CRASH_POINTS` names a directory and a drill has put a file there that names this program and this place
//! ([`arm`]): of all processes that come by, the first takes the file and is struck, once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, raise};
use nix::unistd::getpid;

/// Names the directory; set for a drill's processes.
pub const VARIABLE: &str = "CRASH_POINTS";

/// Whether this build has crash points.
const BUILT_IN: bool = cfg!(any(debug_assertions, feature = "armed"));

macro_rules! crash_points {
    ($($(#[doc = $what:literal])+ $variant:ident = $name:literal,)*) => {
        /// A place in the code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CrashPoint {
            $($(#[doc = $what])+ $variant,)*
        }

        impl CrashPoint {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

crash_points! {
    /// Any: a batch of units has come together, and nothing is written.
    BatchGathered = "batch-gathered",
    /// Any: all of a transaction's writes are made, and it is not committed.
    TransactionOpen = "transaction-open",
    /// Any: a transaction is committed, and nobody was told.
    TransactionCommitted = "transaction-committed",
    /// API: a signed request is verified; its nonce is not spent.
    RequestVerified = "request-verified",
    /// API: what a request asked for is done, and its nonce spent; no answer was sent.
    RequestApplied = "request-applied",
    /// API: the job that a request waits for has ended.
    JobAwaited = "job-awaited",
    /// Worker: it is in the register, and has claimed nothing.
    WorkerRegistered = "worker-registered",
    /// Worker: jobs were found, or heard of; they are not claimed.
    JobsFound = "jobs-found",
    /// Worker: jobs are claimed; the process does not know it.
    JobsMarked = "jobs-marked",
    /// Worker: a job is in hand, and nothing was done.
    JobInHand = "job-in-hand",
    /// Worker: leases are about to be renewed.
    LeasesDue = "leases-due",
    /// Worker: leases were renewed.
    LeasesRenewed = "leases-renewed",
    /// Worker: a challenge is read; nobody was asked.
    ChallengeRead = "challenge-read",
    /// Worker: it is known whether a challenge is met; it is not written.
    ChallengeDecided = "challenge-decided",
    /// Worker: it is written whether a challenge is met.
    ChallengeWritten = "challenge-written",
    /// Worker: an intended certificate is read; it is not signed.
    CertificateRead = "certificate-read",
    /// Worker: a certificate is signed; it is not written.
    CertificateSigned = "certificate-signed",
    /// Worker: a signed certificate is written.
    CertificateWritten = "certificate-written",
    /// Worker: it is written that a renewal begins; nothing is ordered.
    RenewalBegun = "renewal-begun",
    /// Worker: an order is placed at an authority; its URL is not written.
    OrderPlaced = "order-placed",
    /// Worker: what an authority is to find can be found; it is not told to look.
    ProofsShown = "proofs-shown",
    /// Worker: the request for a certificate is signed; it is not sent.
    RequestMade = "request-made",
    /// Worker: a chain has come; it is not kept.
    ChainDownloaded = "chain-downloaded",
    /// Worker: a look at a managed certificate has come to its end; that is not written.
    RenewalEnding = "renewal-ending",
    /// Worker: people were told by a channel; that is not written.
    NoticesTold = "notices-told",
    /// Worker: an attempt has failed; that is not written.
    AttemptFailed = "attempt-failed",
    /// Worker: it is written that an attempt has failed.
    AttemptEnded = "attempt-ended",
    /// Worker: lost work is about to be looked for.
    RecoveryBegun = "recovery-begun",
    /// Worker: lost work was brought back.
    RecoveryDone = "recovery-done",
    /// Worker: what has served its time is about to be removed.
    RetentionBegun = "retention-begun",
    /// Worker: a step of what has served its time is removed.
    RetentionStepped = "retention-stepped",
    /// The audit trail begins later, and what is before it is still there.
    AuditStartMoved = "audit-start-moved",
    /// Worker: events of the audit trail have their numbers; that is not written.
    EventsNumbered = "events-numbered",
    /// Worker: the audit trail's end is signed; that is not kept.
    CheckpointSigned = "checkpoint-signed",
    /// Worker: it is read which certificates of a shard are revoked; no CRL is signed.
    RevokedRead = "revoked-read",
    /// Worker: a CRL is written; it is not noted which certificates it lists.
    CrlWritten = "crl-written",
    /// Worker: an OCSP answer is signed; it is not written.
    OcspResponseSigned = "ocsp-response-signed",
    /// A worker has sealed secrets anew, and stored none of them.
    SecretsResealed = "secrets-resealed",
    /// It has stored them.
    ResealedStored = "resealed-stored",
    /// Worker: it was told to go, and may have jobs in hand.
    Draining = "draining",
    /// Scheduler: the lease is taken; nothing was done in the new term.
    LeadTaken = "lead-taken",
    /// Scheduler: a run is due; it is not enqueued.
    RunDue = "run-due",
    /// Scheduler: a run is enqueued.
    RunEnqueued = "run-enqueued",
    /// Scheduler: it was told to go, and has not stepped down.
    LeadToBeGivenUp = "lead-to-be-given-up",
}

/// What happens to the process that reaches a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// It is gone (SIGKILL).
    Kill,
    /// It stands still until it is told to go on (SIGSTOP, SIGCONT).
    Pause,
}

impl Strike {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
        }
    }

    fn signal_named(name: &str) -> Option<Signal> {
        [
            (Self::Kill, Signal::SIGKILL),
            (Self::Pause, Signal::SIGSTOP),
        ]
        .into_iter()
        .find_map(|(strike, signal)| (strike.name() == name).then_some(signal))
    }
}

/// The process is at this point. Returns, or does not.
#[inline]
pub fn reach(point: CrashPoint) {
    if BUILT_IN && let Some(ground) = ground() {
        ground.reach(point);
    }
}

/// Has the next process of this program that reaches the point struck.
///
/// # Errors
/// If the file cannot be written, or the point is armed already.
pub fn arm(directory: &Path, program: &str, point: CrashPoint, strike: Strike) -> io::Result<()> {
    let path = directory.join(file_name(program, point));
    // In one step: who comes by must not find half of it.
    let draft = path.with_extension("draft");
    fs::write(&draft, strike.name())?;
    let armed = fs::hard_link(&draft, &path);
    fs::remove_file(draft)?;
    armed
}

/// The process that was struck at the point, if one was since it was armed; asked again, none.
///
/// # Errors
/// If the directory cannot be read.
pub fn struck(directory: &Path, program: &str, point: CrashPoint) -> io::Result<Option<i32>> {
    let prefix = format!("{}.by.", file_name(program, point));
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix))
            .and_then(|pid| pid.parse().ok());
        if let Some(pid) = pid {
            fs::remove_file(entry.path())?;
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

fn file_name(program: &str, point: CrashPoint) -> String {
    format!("{program}@{}", point.name())
}

/// Where the files lie, and who we are.
struct Ground {
    directory: PathBuf,
    program: String,
}

fn ground() -> Option<&'static Ground> {
    static GROUND: OnceLock<Option<Ground>> = OnceLock::new();
    GROUND
        .get_or_init(|| {
            let directory = PathBuf::from(std::env::var_os(VARIABLE)?);
            let program = std::env::current_exe().ok()?;
            let program = program.file_name()?.to_str()?.to_owned();
            Some(Ground { directory, program })
        })
        .as_ref()
}

impl Ground {
    fn reach(&self, point: CrashPoint) {
        let me = getpid();
        let armed = self.directory.join(file_name(&self.program, point));
        let mut taken = armed.clone().into_os_string();
        taken.push(format!(".by.{me}"));
        // One of all who come by gets it.
        if fs::rename(&armed, &taken).is_err() {
            return;
        }
        let strike = fs::read_to_string(&taken).unwrap_or_default();
        if let Some(signal) = Strike::signal_named(&strike) {
            strike_process(signal);
        }
    }
}

/// Strikes the whole process, at once: the signal is for the thread that is here. Sent to the process, a stop would wait for
/// another thread to be given a processor, and this one would go on meanwhile.
fn strike_process(signal: Signal) {
    // It cannot fail: the thread is there.
    let _ = raise(signal);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ() {
        let names: BTreeSet<&str> = CrashPoint::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), CrashPoint::ALL.len());
    }

    #[test]
    fn nothing_is_struck_that_is_not_armed() {
        // The variable is not set for tests.
        for point in CrashPoint::ALL {
            reach(*point);
        }
    }

    #[test]
    fn who_comes_by_takes_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let (program, point) = ("certfleet-worker", CrashPoint::JobInHand);
        arm(here, program, point, Strike::Pause).unwrap();
        let twice = arm(here, program, point, Strike::Kill).unwrap_err();
        assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(struck(here, program, point).unwrap(), None);

        // As another process would: a strike that is none, so that this one lives.
        fs::write(here.join(file_name(program, point)), "nothing").unwrap();
        let ground = Ground {
            directory: here.to_owned(),
            program: program.to_owned(),
        };
        ground.reach(CrashPoint::JobsFound);
        assert_eq!(struck(here, program, point).unwrap(), None);
        ground.reach(point);
        ground.reach(point);
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(struck(here, program, point).unwrap(), Some(me));
        assert_eq!(struck(here, program, point).unwrap(), None);
    }
}
