//! Events that have no number yet: one document for all that one transaction did.

use bson::oid::ObjectId;
use bson::raw::{RawArrayBuf, RawDocumentBuf};
use bson::{Bson, Document, rawdoc};

use crate::collections::AUDIT_OUTBOX;
use crate::error::Corrupt;

/// The field of the lines.
const EVENTS: &str = "events";

/// The document that puts these lines there. Its id grows with time, so that events are numbered about in their order.
pub(crate) fn document(lines: &[&str]) -> RawDocumentBuf {
    let events: RawArrayBuf = lines.iter().copied().collect();
    rawdoc! { "_id": ObjectId::new(), "events": events }
}

/// The lines of a document.
pub(super) fn lines(document: &Document) -> Result<impl Iterator<Item = &str>, Corrupt> {
    let corrupt = |why: &str| Corrupt {
        collection: AUDIT_OUTBOX,
        id: document.get("_id").map(Bson::to_string).unwrap_or_default(),
        why: format!("{EVENTS}: {why}"),
    };
    let events = document
        .get_array(EVENTS)
        .map_err(|error| corrupt(&error.to_string()))?;
    if events.iter().all(|event| event.as_str().is_some()) {
        Ok(events.iter().filter_map(Bson::as_str))
    } else {
        Err(corrupt("texts are due"))
    }
}
