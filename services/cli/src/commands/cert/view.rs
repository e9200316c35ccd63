//! A managed certificate on a sheet.

use certfleet_management::views::CertificateView;

use crate::output::{Sheet, joined, moment, moment_or_none};

/// All of it.
pub fn write(view: &CertificateView, sheet: &mut Sheet) {
    sheet.title(format_args!("Managed certificate {}", view.id));
    sheet.pairs([
        ("project", view.project.clone()),
        ("names", joined(&view.names)),
        ("status", view.status.to_owned()),
        ("valid until", moment_or_none(view.not_after)),
        ("serial", view.serial.clone().unwrap_or_default()),
        ("from", view.upstream.clone().unwrap_or_default()),
        ("to be had from", joined(&view.upstreams)),
        ("renewal", view.course.to_owned()),
        ("because", view.reason.unwrap_or_default().to_owned()),
        ("next look", moment(view.next_at)),
        ("suggested", moment_or_none(view.suggested)),
        ("why", view.explanation_url.clone().unwrap_or_default()),
        ("failures", view.failures.to_string()),
        ("trouble", view.trouble.clone().unwrap_or_default()),
    ]);
}

/// A line of each.
pub fn table(sheet: &mut Sheet, all: &[CertificateView]) {
    let rows = all.iter().map(|one| {
        [
            one.id.clone(),
            joined(&one.names),
            one.status.to_owned(),
            moment_or_none(one.not_after),
            moment(one.next_at),
            one.trouble.clone().unwrap_or_default(),
        ]
    });
    let heads = [
        "id",
        "names",
        "status",
        "valid until",
        "next look",
        "trouble",
    ];
    sheet.table(heads, rows);
}
