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
    let records: Result<Vec<Record>, UpdateError> = added.chain(removed).collect();
    parted(&origin, &records?)
}

/// As few messages as there may be: one, or those of each half.
fn parted(origin: &Name, records: &[Record]) -> Result<Vec<Message>, UpdateError> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let mut whole = empty(origin);
    for record in records {
        whole.add_update(record.clone());
    }
    let octets = whole
        .to_vec()
        .map_err(|error| UpdateError::Wrong(error.to_string()))?;
    if octets.len() <= LARGEST || records.len() == 1 {
        return Ok(vec![whole]);
    }
    let (first, second) = records.split_at(records.len() / 2);
    let mut updates = parted(origin, first)?;
    updates.extend(parted(origin, second)?);
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

#[cfg(test)]
mod tests {
    use certfleet_domain::TsigAlgorithm;
    use zeroize::Zeroizing;

    use super::*;
    use crate::TsigKey;

    fn zone() -> Zone {
        Zone {
            name: "zone.example.org".to_owned(),
            server: "127.0.0.1:53".parse().unwrap(),
            key: TsigKey {
                name: "key.example.org".to_owned(),
                algorithm: TsigAlgorithm::default(),
                secret: Zeroizing::new(vec![0; 32]),
            },
        }
    }

    fn proofs(count: usize) -> Vec<Txt> {
        (0..count)
            .map(|number| Txt {
                name: format!("_acme-challenge.h{number}.zone.example.org"),
                text: "x".repeat(43),
            })
            .collect()
    }

    #[test]
    fn a_change_is_one_message_as_long_as_it_fits_and_else_as_few_as_halves_allow() {
        for (added, removed, messages) in [
            (0, 0, 0),
            (500, 0, 1),
            (350, 350, 1),
            (1000, 0, 2),
            (3000, 0, 8),
        ] {
            let change = Change {
                add: proofs(added),
                remove: proofs(removed),
            };
            let updates = updates(&zone(), &change).unwrap();
            assert_eq!(updates.len(), messages, "{added} and {removed}");
            let records: usize = updates.iter().map(|update| update.authorities.len()).sum();
            assert_eq!(records, added + removed);
            for update in updates {
                assert!(update.to_vec().unwrap().len() <= LARGEST);
            }
        }
    }
}
