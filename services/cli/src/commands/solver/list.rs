//! The zones that there are.

use certfleet_domain::Solver;
use certfleet_storage::Store;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct View {
    name: String,
    zone: String,
    server: String,
    key_name: String,
    algorithm: &'static str,
    watched: Vec<String>,
}

impl From<Solver> for View {
    fn from(solver: Solver) -> Self {
        Self {
            name: solver.name.to_string(),
            zone: solver.zone.to_string(),
            server: solver.server.to_string(),
            key_name: solver.key_name.to_string(),
            algorithm: solver.algorithm.name(),
            watched: solver.watched.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Lists them.
pub async fn run(store: &Store, out: Output) -> Result<(), Failure> {
    let all: Vec<View> = store
        .solvers
        .all()
        .await?
        .into_iter()
        .map(View::from)
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
