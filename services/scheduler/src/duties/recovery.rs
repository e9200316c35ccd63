use std::time::Duration;

use certfleet_storage::{StorageError, Store};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Duty;

/// What is younger may just be on its way.
const OLDER_THAN: Duration = Duration::from_secs(60);

/// Gives orders and challenges that wait for a job, and have none, their job back.
///
/// State and job are written together, so there should be nothing to do; each one found is worth a look at why.
pub struct Recovery {
    /// The database.
    pub store: Store,
}

impl Duty for Recovery {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn run(&self) -> BoxFuture<'_, Result<String, StorageError>> {
        async {
            let recovered = self.store.jobs.recover(OLDER_THAN).await?;
            let (validations, signatures) = (recovered.validations, recovered.signatures);
            if validations + signatures > 0 {
                tracing::warn!(validations, signatures, "lost jobs were brought back");
            }
            Ok(format!(
                "{validations} validations and {signatures} signatures brought back"
            ))
        }
        .boxed()
    }
}
