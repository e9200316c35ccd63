//! A change as messages.

use hickory_proto::op::{Message, OpCode, Query, UpdateMessage as _};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::{Change, LARGEST, TTL, Txt, UpdateError, Zone};

/// The updates of a change: one, unless that were too large.
pub(crate) fn updates(zone: &Zone, change: &Change) -> Result<Vec<Message>, UpdateError> {
    let origin = name(&zone.name)?;
    let added = change
        .add
        .iter()
        .map(|txt| record(&origin, txt, TTL, DNSClass::IN));
    // Of class NONE, it is to be removed (RFC 2136 §2.5.4).
    let removed = change
        .remove
        .iter()
        .map(|txt| record(&origin, txt, 0, DNSClass::NONE));
    let mut updates = Vec::new();
    let (mut open, mut size) = (empty(&origin), 0);
    for record in added.chain(removed) {
        let record = record?;
        // Uncompressed, which is more than it will be.
        let octets = record.name.len() + 300;
        if size + octets > LARGEST && size > 0 {
            updates.push(std::mem::replace(&mut open, empty(&origin)));
            size = 0;
        }
        size += octets;
        open.add_update(record);
    }
    if size > 0 {
        updates.push(open);
    }
    Ok(updates)
}

fn empty(origin: &Name) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    let mut zone = Query::new();
    zone.set_name(origin.clone());
    zone.set_query_class(DNSClass::IN);
    zone.set_query_type(RecordType::SOA);
    message.add_zone(zone);
    message
}

fn record(origin: &Name, txt: &Txt, ttl: u32, class: DNSClass) -> Result<Record, UpdateError> {
    let owner = name(&txt.name)?;
    if !origin.zone_of(&owner) {
        let why = format!("{} is not in the zone {origin}", txt.name);
        return Err(UpdateError::Wrong(why));
    }
    if txt.text.len() > 255 {
        return Err(UpdateError::Wrong(format!(
            "{}: a text of more than 255 octets",
            txt.name
        )));
    }
    let data = RData::TXT(TXT::new(vec![txt.text.clone()]));
    let mut record = Record::from_rdata(owner, ttl, data);
    record.dns_class = class;
    Ok(record)
}

/// A whole name.
pub(crate) fn name(text: &str) -> Result<Name, UpdateError> {
    let wrong = |why: &dyn std::fmt::Display| UpdateError::Wrong(format!("{text}: {why}"));
    let mut name = Name::from_ascii(text).map_err(|error| wrong(&error))?;
    name.set_fqdn(true);
    Ok(name)
}
