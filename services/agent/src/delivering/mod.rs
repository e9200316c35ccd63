//! A delivery, from what the API sends to what is to be reported.
//!
//! Whatever is delivered together and runs the same command is one group: all of its files are written, the command is run once,
//! and each certificate is looked for where it should be served. What fails is put back, and the command run once more for it.
//! What was there before lies in the [`Journal`] until the group is through, so that a process that is killed in between finds
//! it again.

mod allowed;
mod command;
mod files;
mod journal;
mod serving;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use certfleet_agent_protocol::{Delivery, Item, Outcome, Report};
use certfleet_domain::CommandName;

pub use journal::Journal;
use serving::Serving;

use crate::settings::Settings;
use crate::state::State;

/// What delivers.
pub struct Delivering {
    settings: Settings,
    serving: Serving,
}

/// What of a group stands, and what does not.
#[derive(Default)]
struct Standing {
    written: Vec<Item>,
    failed: Vec<(Item, String)>,
}

impl Delivering {
    /// Within what the settings allow.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        Ok(Self {
            serving: Serving::new(settings.served_within())?,
            settings,
        })
    }

    /// Delivers all of it; says what became of each.
    pub async fn deliver(&self, state: &State, delivery: Delivery) -> Vec<Report> {
        let mut groups: BTreeMap<Option<CommandName>, Vec<Item>> = BTreeMap::new();
        for item in delivery.items {
            groups.entry(item.reload.clone()).or_default().push(item);
        }
        let mut reports = Vec::new();
        for (reload, items) in groups {
            reports.extend(self.deliver_group(state, reload.as_ref(), items).await);
        }
        reports
    }

    async fn deliver_group(
        &self,
        state: &State,
        reload: Option<&CommandName>,
        items: Vec<Item>,
    ) -> Vec<Report> {
        let (allowed, mut failed) = self.allowed(items);
        let journal = match Journal::begin(state, &allowed) {
            Ok(journal) => journal,
            Err(error) => {
                let why = format!("what is there cannot be kept: {error:#}");
                failed.extend(allowed.into_iter().map(|item| (item, why.clone())));
                return reports(&[], &failed, &[]);
            }
        };
        let mut standing = Standing {
            written: Vec::new(),
            failed,
        };
        for item in allowed {
            match files::write(&item) {
                Ok(()) => standing.written.push(item),
                Err(error) => {
                    standing.fail(&journal, item, format!("{error:#}"));
                }
            }
        }
        let seen = self.load(reload, &journal, &mut standing).await;
        journal.end();
        let reports = reports(&standing.written, &standing.failed, &seen);
        let (placed, failed) = (standing.written.len(), standing.failed.len());
        tracing::info!(placed, failed, "delivered");
        reports
    }

    /// What the settings allow, and why they do not allow the rest.
    fn allowed(&self, items: Vec<Item>) -> (Vec<Item>, Vec<(Item, String)>) {
        let (mut allowed, mut failed) = (Vec::new(), Vec::new());
        for item in items {
            match allowed::check(&self.settings, &item) {
                Ok(()) => allowed.push(item),
                Err(why) => failed.push((item, why)),
            }
        }
        (allowed, failed)
    }

    /// Has what is written taken up, and looks whether it is: gives what was seen of each. What is not goes back.
    async fn load(
        &self,
        reload: Option<&CommandName>,
        journal: &Journal,
        standing: &mut Standing,
    ) -> Vec<bool> {
        if standing.written.is_empty() {
            return Vec::new();
        }
        if let Err(why) = self.reload(reload, &standing.written).await {
            standing.fail_all(journal, &why);
            self.take_back(reload).await;
            return Vec::new();
        }
        let looked = self.serving.look(&standing.written).await;
        let mut seen = Vec::new();
        let written = std::mem::take(&mut standing.written);
        let mut gone_back = false;
        for (item, looked) in written.into_iter().zip(looked) {
            match looked {
                Ok(was_seen) => {
                    seen.push(was_seen);
                    standing.written.push(item);
                }
                Err(why) => {
                    standing.fail(journal, item, why);
                    gone_back = true;
                }
            }
        }
        if gone_back && let Err(why) = self.reload(reload, &standing.written).await {
            // Neither with all of them, nor without those that failed: as it was before, then.
            let why = format!("after others were put back: {why}");
            standing.fail_all(journal, &why);
            self.take_back(reload).await;
            return Vec::new();
        }
        seen
    }

    /// The command, once, over the files as they were. What it says is for the log: what failed is reported already.
    async fn take_back(&self, reload: Option<&CommandName>) {
        if let Err(why) = self.reload(reload, &[]).await {
            tracing::error!(
                why,
                "the former files are there again, and the command fails with them too"
            );
        }
    }

    async fn reload(&self, reload: Option<&CommandName>, items: &[Item]) -> Result<(), String> {
        let Some(name) = reload else {
            return Ok(());
        };
        let line = self.settings.commands.get(name);
        let line = line.ok_or_else(|| allowed::no_command(name))?;
        command::run(line, items, self.settings.command_within())
            .await
            .map_err(|why| format!("{name}: {why}"))
    }
}

impl Standing {
    fn fail(&mut self, journal: &Journal, item: Item, why: String) {
        let why = match journal.restore(&item) {
            Ok(()) => why,
            Err(error) => format!("{why}; AND WHAT WAS THERE BEFORE IS NOT BACK: {error:#}"),
        };
        tracing::error!(target = %item.target, name = item.served_name, why, "not delivered");
        self.failed.push((item, why));
    }

    fn fail_all(&mut self, journal: &Journal, why: &str) {
        for item in std::mem::take(&mut self.written) {
            self.fail(journal, item, why.to_owned());
        }
    }
}

fn reports(placed: &[Item], failed: &[(Item, String)], seen: &[bool]) -> Vec<Report> {
    let report = |item: &Item, outcome| Report {
        placement: item.placement,
        version: item.version,
        outcome,
    };
    let placed = placed.iter().enumerate().map(|(index, item)| {
        let seen = seen.get(index).copied().unwrap_or_default();
        report(item, Outcome::Placed { seen })
    });
    let failed = failed
        .iter()
        .map(|(item, why)| report(item, Outcome::Failed { why: why.clone() }));
    placed.chain(failed).collect()
}
