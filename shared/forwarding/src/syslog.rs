//! Messages of RFC 5424, in frames that count octets (RFC 6587 §3.4.1, RFC 5425 §4.3).

use std::fmt::Write as _;

use certfleet_audit::Entry;
use time::macros::format_description;

use crate::glance::Glance;

/// Facility 13, log audit (RFC 5424 §6.2.1).
const FACILITY: u8 = 13;
/// What has nothing to say (RFC 5424 §6).
const NIL: &str = "-";

/// One frame: the message of an entry, with `text` as what it says.
pub(crate) fn frame(entry: &Entry, text: &str) -> String {
    let message = message(&entry.event, text);
    format!("{} {message}", message.len())
}

fn message(event: &str, text: &str) -> String {
    let glance = Glance::at(event);
    // Warning, or notice.
    let severity = if glance.was_refused() { 4 } else { 5 };
    let priority = FACILITY * 8 + severity;
    let at = timestamp(&glance);
    let host = printable(&glance.server, 255);
    let act = printable(&glance.act, 32);
    let mut message = String::with_capacity(text.len() + 128);
    // Writing to a string cannot fail.
    let _ = write!(
        message,
        "<{priority}>1 {at} {host} certfleet - {act} - {text}"
    );
    message
}

/// At most six digits of a second's fraction (RFC 5424 §6.2.3).
fn timestamp(glance: &Glance) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    glance
        .moment()
        .and_then(|moment| moment.to_utc().format(&format).ok())
        .unwrap_or_else(|| NIL.to_owned())
}

/// A header's field: printable ASCII without spaces, of bounded length, or nothing.
fn printable(text: &str, longest: usize) -> &str {
    let fits = !text.is_empty()
        && text.len() <= longest
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { text } else { NIL }
}

#[cfg(test)]
mod tests {
    use certfleet_audit::Hash;

    use super::*;

    fn entry(event: &str) -> Entry {
        Entry {
            number: 7,
            link: Hash::ZERO,
            event: event.to_owned(),
        }
    }

    #[test]
    fn a_message_is_as_rfc_5424_has_it() {
        let event = r#"{"v":1,"at":"2026-09-21T14:13:20.1234567Z","server":"0190","act":"order.create","outcome":"done"}"#;
        let due = "<109>1 2026-09-21T14:13:20.123456Z 0190 certfleet - order.create - text é";
        assert_eq!(message(event, "text é"), due);
        // Octets, not characters.
        let framed = frame(&entry(event), "text é");
        assert_eq!(framed, format!("{} {due}", due.len()));
        let refused = event.replace("done", "refused");
        assert!(message(&refused, "").starts_with("<108>1 "));
    }

    #[test]
    fn what_does_not_fit_a_header_is_left_out_of_it() {
        for event in [
            "no JSON",
            "{}",
            r#"{"at":"yesterday","server":"a b","act":"\u0000"}"#,
        ] {
            assert_eq!(
                message(event, "text"),
                "<109>1 - - certfleet - - - text",
                "{event}"
            );
        }
    }
}
