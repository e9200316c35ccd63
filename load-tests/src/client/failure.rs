//! Why a flow failed, in the words it is counted under.

use super::wire::Problem;

/// A failed flow: `kind` groups (a problem type, or the client's own word), `detail` explains one case.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(kind: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            detail: detail.into(),
        }
    }

    /// From a server's problem document; `at` is the step it was met in.
    pub(crate) fn problem(at: &str, problem: &Problem) -> Self {
        let name = match problem.name() {
            "" => "no problem type",
            name => name,
        };
        Self::new(&format!("{at}: {name}"), problem.detail.clone())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new("client", format!("{error:#}"))
    }
}
