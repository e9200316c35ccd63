//! How long the server keeps what was: longer, while a backup reads it.

use bson::doc;
use mongodb::Database;

/// The server's parameter: for so many seconds it keeps old versions, 300 unless told otherwise.
const WINDOW: &str = "minSnapshotHistoryWindowInSeconds";
/// Longer than a backup takes. What is kept costs the server's cache, and the disk when that is full.
const LONG: i64 = 4 * 60 * 60;

/// The primary keeps a snapshot for as long as this is not ended.
pub struct History {
    admin: Database,
    /// What it was before, if it was changed.
    before: Option<i64>,
}

impl History {
    /// Asks the primary for it. One that this user may not ask keeps its own time, which may be enough.
    pub async fn lengthen(database: &Database) -> Self {
        let admin = database.client().database("admin");
        let mut history = Self {
            admin,
            before: None,
        };
        let asked = doc! { "getParameter": 1, WINDOW: 1 };
        let Ok(answer) = history.admin.run_command(asked).await else {
            return history;
        };
        let now = answer.get_i32(WINDOW).map(i64::from);
        if let Ok(now) = now.or_else(|_| answer.get_i64(WINDOW))
            && now < LONG
            && history.set(LONG).await
        {
            history.before = Some(now);
        }
        history
    }

    /// As it was before.
    pub async fn end(self) {
        if let Some(before) = self.before {
            self.set(before).await;
        }
    }

    async fn set(&self, seconds: i64) -> bool {
        let set = doc! { "setParameter": 1, WINDOW: seconds };
        self.admin.run_command(set).await.is_ok()
    }
}
