//! How far the start is: a spinner and a line a step on a terminal, plain lines elsewhere, and one JSON object a line
//! for machines; all of it on standard error.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::output::{BAD, FAINT, GOOD};

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Tells how far the start is.
pub struct Progress {
    form: Form,
}

enum Form {
    Terminal,
    Lines,
    Json,
}

/// Something that happened, for machines.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    StepStarted {
        step: &'a str,
    },
    StepDone {
        step: &'a str,
        detail: &'a str,
        seconds: f64,
    },
    Note {
        text: &'a str,
    },
}

impl Progress {
    /// For machines, or for people.
    pub fn new(json: bool) -> Self {
        let form = if json {
            Form::Json
        } else if std::io::stderr().is_terminal() {
            Form::Terminal
        } else {
            Form::Lines
        };
        Self { form }
    }

    /// Carries out a step. What it gives is the result and what is to be said of it.
    pub async fn step<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(T, String), Failure>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let spinner = match self.form {
            Form::Terminal => Some(Spinner::start(name)),
            Form::Lines => None,
            Form::Json => {
                tell(&Event::StepStarted { step: name });
                None
            }
        };
        let done = work.await;
        drop(spinner);
        let (value, detail) = done?;
        let seconds = began.elapsed().as_secs_f64();
        match self.form {
            Form::Terminal => say(&format!(
                "{GOOD}✓{GOOD:#} {name:<14} {detail} {FAINT}{seconds:.1} s{FAINT:#}"
            )),
            Form::Lines => say(&format!("{name}: {detail} ({seconds:.1} s)")),
            Form::Json => tell(&Event::StepDone {
                step: name,
                detail: &detail,
                seconds,
            }),
        }
        Ok(value)
    }

    /// Says something that has to be known.
    pub fn note(&self, text: &str) {
        match self.form {
            Form::Terminal => say(&format!("{BAD}!{BAD:#} {text}")),
            Form::Lines => say(text),
            Form::Json => tell(&Event::Note { text }),
        }
    }
}

/// Turns until it is dropped, and then leaves nothing behind.
struct Spinner(ProgressBar);

impl Spinner {
    fn start(name: &'static str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg:<14} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(name);
        bar.enable_steady_tick(TURN);
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn tell(event: &Event<'_>) {
    if let Ok(line) = serde_json::to_string(event) {
        say(&line);
    }
}

fn say(line: &str) {
    // Nowhere is left to say that standard error is gone.
    let _ = writeln!(anstream::stderr(), "{line}");
}
