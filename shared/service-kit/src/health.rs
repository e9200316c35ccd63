//! How a service is, part by part.
//!
//! Parts are checked together, each within two seconds, and asking more often than once a second gets
//! the last answer again: a probe that anybody can reach must not be a way to load the database.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// The longest one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_millis(800);

/// How old an answer may be.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Well.
    Ok,
    /// It works, and somebody should look.
    Degraded,
    /// It does not work.
    Bad,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// How well it is.
    pub status: Status,
    /// What there is to say of it. Nothing secret: probes are public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Condition {
    /// Well, with nothing to say.
    pub fn ok() -> Self {
        Self {
            status: Status::Ok,
            detail: None,
        }
    }

    /// Well, with figures.
    pub fn ok_with(detail: impl Into<String>) -> Self {
        Self {
            status: Status::Ok,
            detail: Some(detail.into()),
        }
    }

    /// It works, and somebody should look.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self {
            status: Status::Degraded,
            detail: Some(detail.into()),
        }
    }

    /// It does not work.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self {
            status: Status::Bad,
            detail: Some(detail.into()),
        }
    }
}

/// What a check answers, in the end.
pub type CheckFuture<'a> = Pin<Box<dyn Future<Output = Condition> + Send + 'a>>;

/// Something whose condition can be asked. Any `Fn() -> impl Future<Output = Condition>` is one.
pub trait Check: Send + Sync {
    /// How it is. Given up after 0.8 s, which counts as bad.
    fn check(&self) -> CheckFuture<'_>;
}

impl<F, Answer> Check for F
where
    F: Fn() -> Answer + Send + Sync,
    Answer: Future<Output = Condition> + Send + 'static,
{
    fn check(&self) -> CheckFuture<'_> {
        Box::pin(self())
    }
}

/// Whether the service works without a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// It does not: while the part is bad, the service is not ready.
    Critical,
    /// It does, less well.
    Auxiliary,
}

#[derive(Clone)]
struct Part {
    name: &'static str,
    importance: Importance,
    check: Arc<dyn Check>,
}

/// A service's parts, and where it stands in its life.
pub struct Health {
    version: &'static str,
    parts: RwLock<Vec<Part>>,
    started: AtomicBool,
    shutdown: CancellationToken,
    last: Mutex<Option<(Instant, Arc<Report>)>>,
    max_age: Duration,
}

/// How a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// As well as its critical parts, and degraded if another is not well.
    pub status: Status,
    /// The service's version.
    pub version: &'static str,
    /// Each part by name.
    pub parts: BTreeMap<&'static str, Condition>,
    /// Why the service is not ready, if it is not.
    #[serde(skip)]
    pub not_ready: Option<String>,
}

impl Health {
    /// A service that has not started yet, and that goes when `shutdown` is cancelled.
    pub fn new(version: &'static str, shutdown: CancellationToken) -> Self {
        Self {
            version,
            parts: RwLock::default(),
            started: AtomicBool::new(false),
            shutdown,
            last: Mutex::new(None),
            max_age: MAX_AGE,
        }
    }

    /// The same, asked anew each time.
    #[cfg(test)]
    pub(crate) fn uncached(shutdown: CancellationToken) -> Self {
        Self {
            max_age: Duration::ZERO,
            ..Self::new("1.2.3", shutdown)
        }
    }

    /// Adds a part.
    pub fn register(
        &self,
        name: &'static str,
        importance: Importance,
        check: impl Check + 'static,
    ) {
        let part = Part {
            name,
            importance,
            check: Arc::new(check),
        };
        self.parts
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(part);
    }

    /// From here on the service takes work, if its parts are well.
    pub fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// The service's version.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Why the service should get no work now; `None` if it should. While it starts, that is what it waits for, where a
    /// part says so: a person who looks for the reason looks here first.
    pub async fn not_ready(&self) -> Option<String> {
        if self.shutdown.is_cancelled() {
            Some("shutting down".to_owned())
        } else {
            let unwell = self.report().await.not_ready.clone();
            let starting = !self.started.load(Ordering::Acquire);
            unwell.or_else(|| starting.then(|| "starting".to_owned()))
        }
    }

    /// How all parts are, at most a second ago.
    pub async fn report(&self) -> Arc<Report> {
        // Held while the parts are asked, so that many who ask at once cause one asking.
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < self.max_age
        {
            return Arc::clone(report);
        }
        let report = Arc::new(self.ask().await);
        *last = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    async fn ask(&self) -> Report {
        let parts = self
            .parts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let found = join_all(parts.iter().map(|part| async {
            timeout(CHECK_TIMEOUT, part.check.check())
                .await
                .unwrap_or_else(|_| Condition::bad("no answer within 0.8 s"))
        }))
        .await;
        let mut report = Report {
            status: Status::Ok,
            version: self.version,
            parts: BTreeMap::new(),
            not_ready: None,
        };
        for (part, condition) in parts.iter().zip(found) {
            report.add(part, condition);
        }
        report
    }
}

impl Report {
    fn add(&mut self, part: &Part, condition: Condition) {
        let critical = part.importance == Importance::Critical;
        let counts = match condition.status {
            Status::Bad if !critical => Status::Degraded,
            status => status,
        };
        self.status = self.status.max(counts);
        if counts == Status::Bad && self.not_ready.is_none() {
            let detail = condition.detail.as_deref().unwrap_or("bad");
            self.not_ready = Some(format!("{}: {detail}", part.name));
        }
        self.parts.insert(part.name, condition);
    }
}
