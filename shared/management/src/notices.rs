//! What people are told without having asked.

use certfleet_audit::Act;
use certfleet_domain::{Clock as _, EventId, Notice, SystemClock, SystemRng};
use certfleet_storage::Store;

use crate::plan::Plan;
use crate::refused::Refused;

/// A notice of nothing: somebody wants to know whether notices arrive.
pub fn test(store: &Store) -> Result<Plan<Notice>, Refused> {
    let id = EventId::generate(&SystemClock, &mut SystemRng);
    let notice = Notice::of_test(id, SystemClock.now());
    let unit = store.notices.ensure(&notice)?;
    let target = format!("notice/{}", notice.id);
    Ok(Plan::new(notice, unit).recording(Act::TestNotices, target))
}
