//! `certfleet ca list`.

use std::path::PathBuf;

use super::view::AuthorityView;
use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Lists the authorities.
pub async fn run(config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    let all = store
        .authorities
        .all()
        .await?
        .iter()
        .map(AuthorityView::of)
        .collect::<Result<Vec<_>, _>>()?;
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is no authority; `certfleet ca create NAME` makes one");
        } else {
            AuthorityView::table(sheet, &all);
        }
    })
}
