//! The Common Event Format, version 0 (`ArcSight`'s CEF implementation standard, rev. 25).

use std::fmt::Write as _;

use certfleet_audit::Entry;

use crate::glance::Glance;

/// An entry as CEF.
pub(crate) fn line(entry: &Entry) -> String {
    let glance = Glance::at(&entry.event);
    let severity = if glance.was_refused() { 6 } else { 3 };
    let (version, act) = (env!("CARGO_PKG_VERSION"), header(&glance.act));
    let mut message = format!("CEF:0|certfleet|certfleet|{version}|{act}|{act}|{severity}|");
    let moment = glance
        .moment()
        .map(|at| at.unix_timestamp_nanos() / 1_000_000);
    let (number, link) = (entry.number.to_string(), entry.link.to_base64());
    let moment = moment.map(|at| at.to_string()).unwrap_or_default();
    // An IPv6 address has a field of its own.
    let (v4, v6) = if glance.address.contains(':') {
        ("", glance.address.as_str())
    } else {
        (glance.address.as_str(), "")
    };
    let fields = [
        ("rt", moment.as_str()),
        ("externalId", &number),
        ("deviceExternalId", &glance.server),
        ("act", &glance.act),
        ("suser", &glance.actor),
        ("outcome", &glance.outcome),
        ("src", v4),
        ("msg", &glance.detail),
    ];
    let mut first = true;
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        let space = if std::mem::take(&mut first) { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(message, "{space}{name}={}", extension(value));
    }
    let labelled = [
        ("c6a2", "source", v6),
        ("cs1", "target", &glance.target),
        ("cs2", "request", &glance.request),
        ("cs3", "link", &link),
    ];
    for (name, label, value) in labelled.into_iter().filter(|(.., value)| !value.is_empty()) {
        let _ = write!(message, " {name}Label={label} {name}={}", extension(value));
    }
    message
}

/// In the header, a pipe and a backslash are escaped, and there are no ends of lines.
fn header(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace(['\r', '\n'], " ")
}

/// In the extension, an equals sign, a backslash and ends of lines are escaped.
fn extension(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('=', "\\=")
        .replace('\r', "\\r")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use certfleet_audit::Hash;

    use super::*;

    #[test]
    fn an_entry_is_one_line_of_cef() {
        let event = r#"{"v":1,"at":"2026-09-21T14:13:20Z","server":"0190","actor":"account/1","address":"192.0.2.7","request":"3f","act":"order.create","target":"order/2","outcome":"refused","detail":"a=b|c\\d\ne"}"#;
        let mut entry = Entry {
            number: 7,
            link: Hash::ZERO,
            event: event.to_owned(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let link = Hash::ZERO.to_base64().replace('=', "\\=");
        let begin = format!(
            "CEF:0|certfleet|certfleet|{version}|order.create|order.create|6|rt=1790000000000 externalId=7 "
        );
        let middle = "deviceExternalId=0190 act=order.create suser=account/1 outcome=refused src=192.0.2.7 msg=a\\=b|c\\\\d\\ne ";
        let end =
            format!("cs1Label=target cs1=order/2 cs2Label=request cs2=3f cs3Label=link cs3={link}");
        assert_eq!(line(&entry), format!("{begin}{middle}{end}"));

        entry.event = event
            .replace("192.0.2.7", "2001:db8::7")
            .replace("order.create", "a|b");
        let said = line(&entry);
        assert!(said.contains("c6a2Label=source c6a2=2001:db8::7"), "{said}");
        assert!(said.contains("|a\\|b|a\\|b|"), "{said}");
        assert!(!said.contains("src="), "{said}");
    }
}
