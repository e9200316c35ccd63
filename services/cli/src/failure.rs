//! How a command ends that does not do what it was asked to: a code for scripts, a line for people.

use std::io::Write;
use std::process::ExitCode;

use certfleet_management::Refused;
use certfleet_service_kit::settings::SettingsError;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// It failed: exit code 1.
    Failed(anyhow::Error),
    /// Bad usage or settings, one line for each fault: exit code 2.
    Invalid(String),
    /// It has been told in full already: exit code 2, without a word.
    Told,
    /// There is no such thing: exit code 3.
    NotFound(String),
    /// The audit trail is not what it was: exit code 4.
    Tampered(String),
    /// It was interrupted before it was done: exit code 130.
    Interrupted,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = match error.into().downcast::<SettingsError>() {
            Ok(settings) => return Self::Invalid(settings.to_string()),
            Err(error) => error,
        };
        match error.downcast::<Refused>() {
            Ok(refused @ Refused::NotFound { .. }) => Self::NotFound(refused.to_string()),
            Ok(refused @ Refused::Invalid(_)) => Self::Invalid(refused.to_string()),
            Ok(refused) => Self::Failed(refused.into()),
            Err(error) => Self::Failed(error),
        }
    }
}

impl Failure {
    /// A failure in words.
    pub fn new(text: impl Into<String>) -> Self {
        Self::Failed(anyhow::Error::msg(text.into()))
    }

    /// There is none of what was asked for.
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("there is no {what} {name}"))
    }

    /// Says it on standard error, and gives the exit code.
    pub fn tell(&self) -> ExitCode {
        match self {
            Self::Failed(error) => {
                say(&one_line(&told(error)));
                ExitCode::from(1)
            }
            Self::Invalid(faults) => {
                faults.lines().for_each(say);
                ExitCode::from(2)
            }
            Self::Told => ExitCode::from(2),
            Self::NotFound(text) => {
                say(text);
                ExitCode::from(3)
            }
            Self::Tampered(found) => {
                say(&one_line(&format!(
                    "the audit trail was tampered with: {found}"
                )));
                ExitCode::from(4)
            }
            Self::Interrupted => {
                say("interrupted; everything that was started has been stopped");
                ExitCode::from(130)
            }
        }
    }
}

fn say(line: &str) {
    // Nowhere is left to say that standard error is gone.
    let _ = writeln!(anstream::stderr(), "certfleet: {line}");
}

/// An error with its causes, but those that it has told itself.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = readable(&cause.to_string());
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Without what the database's driver tells of itself and of every server: kilobytes, for the log.
fn readable(text: &str) -> String {
    let end = [". Topology:", ", labels: {"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min();
    let text = end.and_then(|end| text.get(..end)).unwrap_or(text);
    text.replace("Kind: ", "")
}

fn one_line(text: &str) -> String {
    text.split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_not_valid_are_told_apart_wherever_they_come_from() {
        let fault = certfleet_service_kit::settings::Fault::Wrong("log.level: no".to_owned());
        let error = anyhow::Error::new(SettingsError(vec![fault]));
        assert!(matches!(Failure::from(error), Failure::Invalid(text) if text == "log.level: no"));
        assert!(matches!(
            Failure::from(anyhow::anyhow!("x")),
            Failure::Failed(_)
        ));
    }

    #[test]
    fn a_cause_is_told_once_and_the_drivers_state_not_at_all() {
        let driver = "Kind: Server selection timeout: No available servers. Topology: { Type: Unknown }, labels: {}";
        let error = anyhow::anyhow!("{driver}")
            .context(format!("database: {driver}"))
            .context("it does not answer");
        assert_eq!(
            told(&error),
            "it does not answer: database: Server selection timeout: No available servers"
        );
    }

    #[test]
    fn an_error_is_one_line() {
        assert_eq!(one_line("a\n\n  b\n"), "a; b");
    }
}
