//! What a command has to say: JSON for machines, and for people lines and tables, with frames and colours on a
//! terminal only.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use certfleet_domain::Timestamp;
use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// Bold.
pub const TITLE: Style = Style::new().bold();
/// Green.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Red.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Faint.
pub const FAINT: Style = Style::new().dimmed();

/// Columns below which a table is not squeezed any further.
const NARROWEST: u16 = 60;

/// A bar for work on so many of something, on standard error; none where that is no terminal.
pub fn progress(of: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(of);
    let template =
        format!("{{bar:40}} {{human_pos}} of {{human_len}} {what}, {{per_sec}}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// Where a command's answer goes.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON, or text for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether machines are to read it.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints the answer: `value` for machines, what `people` writes for people.
    pub fn show(
        self,
        value: &impl Serialize,
        people: impl FnOnce(&mut Sheet),
    ) -> Result<(), Failure> {
        let text = if self.json {
            let mut text = serde_json::to_string_pretty(value)?;
            text.push('\n');
            text
        } else {
            let mut sheet = Sheet::default();
            people(&mut sheet);
            sheet.text
        };
        print(&text)
    }

    /// Prints an answer that is the same for everyone, such as a PEM file.
    pub fn raw(text: &str) -> Result<(), Failure> {
        print(text)
    }
}

/// Writes to standard output. That its reader has gone is no failure: `certfleet ca list | head -1`.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// An answer for people, as it is written.
#[derive(Debug, Default)]
pub struct Sheet {
    text: String,
}

impl Sheet {
    /// A line.
    pub fn line(&mut self, line: impl Display) {
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }

    /// A title, set off from what is above it.
    pub fn title(&mut self, title: impl Display) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(format_args!("{TITLE}{title}{TITLE:#}"));
    }

    /// Names and values, below each other.
    pub fn pairs<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, String)>) {
        for (name, value) in pairs {
            if !value.is_empty() {
                self.line(format_args!(
                    "  {FAINT}{name:<13}{FAINT:#} {}",
                    coloured(&value)
                ));
            }
        }
    }

    /// A table.
    pub fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let mut table = Table::new();
        if std::io::stdout().is_terminal() {
            table.load_preset(UTF8_FULL_CONDENSED);
            // A terminal that does not tell its width tells 0.
            if table.width().is_some_and(|width| width >= NARROWEST) {
                table.set_content_arrangement(ContentArrangement::Dynamic);
            }
        } else {
            table.load_preset(NOTHING);
        }
        table.set_header(
            header
                .iter()
                .map(|name| Cell::new(name).add_attribute(Attribute::Bold)),
        );
        for row in rows {
            table.add_row(row.iter().map(cell));
        }
        let text = table.trim_fmt();
        self.line(text);
    }
}

fn cell(text: &String) -> Cell {
    let cell = Cell::new(text);
    match mood(text) {
        Some(Mood::Good) => cell.fg(Color::Green),
        Some(Mood::Bad) => cell.fg(Color::Red),
        Some(Mood::Open) => cell.fg(Color::Yellow),
        None => cell,
    }
}

fn coloured(value: &str) -> String {
    let style = match mood(value) {
        Some(Mood::Good) => GOOD,
        Some(Mood::Bad) => BAD,
        Some(Mood::Open) => AnsiColor::Yellow.on_default(),
        None => return value.to_owned(),
    };
    format!("{style}{value}{style:#}")
}

enum Mood {
    Good,
    Bad,
    Open,
}

/// What a word of state means to whoever looks for trouble.
fn mood(word: &str) -> Option<Mood> {
    match word {
        "valid" | "issued" | "done" | "applied" | "ok" => Some(Mood::Good),
        "invalid" | "revoked" | "dead" | "unknown" | "changed" | "bad" => Some(Mood::Bad),
        "pending" | "processing" | "ready" | "queued" | "leased" | "intended" | "degraded" => {
            Some(Mood::Open)
        }
        _ => None,
    }
}

/// A time for people, to the second: `2026-11-21 22:15:00 UTC`.
pub fn moment(at: Timestamp) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!(
        "{} {:02}:{:02}:{:02} UTC",
        at.date(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// A time that may not be.
pub fn moment_or_none(at: Option<Timestamp>) -> String {
    at.map(moment).unwrap_or_default()
}

/// Things in a row.
pub fn joined<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    things
        .into_iter()
        .map(|thing| thing.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
