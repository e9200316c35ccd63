//! Logs: text for people, one JSON object a line for machines, on standard error.
//!
//! The request's id is in the span that each request runs in (see [`crate::edge`]), and every line
//! written within it shows it.

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::settings::{Log, LogFormat};
use crate::traces::SpanLayer;

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not a filter.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The logs have ended.
    #[error(transparent)]
    Ended(#[from] reload::Error),
    /// Something else in this process writes the logs already.
    #[error(transparent)]
    Taken(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// What is logged, to be changed while the process runs.
pub struct LogLevel(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl LogLevel {
    /// From here on this is logged.
    pub fn set(&self, log: &Log) -> Result<(), TelemetryError> {
        Ok((self.0)(EnvFilter::try_new(&log.level)?)?)
    }
}

/// From here on, this process logs; panics as well.
pub fn init(log: &Log) -> Result<LogLevel, TelemetryError> {
    init_with(log, None)
}

/// The same, with traces.
pub(crate) fn init_with(log: &Log, spans: Option<SpanLayer>) -> Result<LogLevel, TelemetryError> {
    let terminal = io::stderr().is_terminal();
    let (subscriber, level) = subscriber(log, spans, terminal, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(level)
}

type BoxedSubscriber = Box<dyn Subscriber + Send + Sync>;

fn subscriber<W>(
    log: &Log,
    spans: Option<SpanLayer>,
    terminal: bool,
    writer: W,
) -> Result<(BoxedSubscriber, LogLevel), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A filter of the lines alone: traces have their own, and lack nothing when less is logged.
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&log.level)?);
    let level = LogLevel(Box::new(move |filter| handle.reload(filter)));
    let format = log.format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(terminal).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .boxed(),
    };
    let subscriber = Registry::default()
        .with(spans)
        .with(lines.with_filter(filter));
    Ok((Box::new(subscriber), level))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let location = panic.location().map(ToString::to_string);
    tracing::error!(location, "panic: {message}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: &Log, terminal: bool) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let (subscriber, level) = subscriber(log, None, terminal, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::error_span!("request", request_id = "r-1");
            let _request = request.enter();
            let inner = tracing::info_span!("transaction");
            let _inner = inner.enter();
            tracing::info!(rows = 3, "stored");
            tracing::debug!("not shown");
            let silent = Log {
                level: "error".to_owned(),
                ..Log::default()
            };
            level.set(&silent).unwrap();
            tracing::info!("not shown any more");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_for_machines_with_the_request_id_on_the_line() {
        let text = logged(&Log::default(), false);
        assert!(!text.contains("not shown"), "{text}");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "stored");
        assert_eq!(line["rows"], 3);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["spans"][0]["request_id"], "r-1");
    }

    #[test]
    fn text_for_people_with_the_request_id_on_the_line() {
        let log = Log {
            format: Some(LogFormat::Text),
            ..Log::default()
        };
        let text = logged(&log, false);
        assert!(text.contains("request_id=\"r-1\""), "{text}");
        assert!(text.contains("stored rows=3"), "{text}");
        assert!(!text.contains('\u{1b}'), "colours in a file: {text}");
        assert!(logged(&Log::default(), true).contains('\u{1b}'));
    }
}
