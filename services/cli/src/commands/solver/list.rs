//! The zones that there are.

use certfleet_management::views::SolverView;
use certfleet_storage::Store;

use crate::failure::Failure;
use crate::output::Output;

/// Lists them.
pub async fn run(store: &Store, out: Output) -> Result<(), Failure> {
    let all: Vec<SolverView> = store
        .solvers
        .all()
        .await?
        .iter()
        .map(SolverView::from)
        .collect();
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is none: names are proven by http-01; `certfleet solver add NAME --zone DOMAIN` adds one");
            return;
        }
        let rows = all.iter().map(|one| {
            [
                one.name.clone(),
                one.zone.clone(),
                one.server.clone(),
                one.key_name.clone(),
                one.algorithm.to_owned(),
                one.watched.join(" "),
            ]
        });
        sheet.table(["name", "zone", "server", "key", "algorithm", "watched"], rows);
    })
}
