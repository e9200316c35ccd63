//! The agents that there are.

use certfleet_domain::{Clock as _, SystemClock};
use certfleet_management::views::AgentView;
use certfleet_storage::Store;

use crate::failure::Failure;
use crate::output::{Output, moment_or_none};

/// Lists them.
pub async fn run(store: &Store, out: Output) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut all = Vec::new();
    for agent in store.deliveries.agents().await? {
        let sighting = store.deliveries.sighting(&agent.name).await?;
        all.push(AgentView::of(&agent, sighting, now));
    }
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is no agent; `certfleet agent invite NAME` invites one");
            return;
        }
        let rows = all.iter().map(|one| {
            [
                one.name.clone(),
                one.status.to_owned(),
                moment_or_none(Some(one.until)),
                moment_or_none(one.heard_of_at),
                one.software.clone().unwrap_or_default(),
            ]
        });
        sheet.table(["name", "status", "until", "heard of", "software"], rows);
    })
}
