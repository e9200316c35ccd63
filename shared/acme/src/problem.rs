//! Problem documents (RFC 7807, RFC 8555 §6.7): what the client is told when something is wrong.

use certfleet_domain::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};

use crate::algorithm::Algorithm;
use crate::messages::Identifier;

/// A problem document, as the body of an error answer and as the `error` of an order or a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// The error type, a URN.
    #[serde(rename = "type", default = "about_blank")]
    pub type_urn: String,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was wrong and what to do, in a sentence.
    #[serde(default)]
    pub detail: String,
    /// The identifier that this is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
    /// The algorithms that may be used; only with `badSignatureAlgorithm` (RFC 8555 §6.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<String>,
    /// The several problems that make up this one (RFC 8555 §6.7.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Subproblem>,
}

/// One of several problems (RFC 8555 §6.7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subproblem {
    /// The error type, a URN.
    #[serde(rename = "type", default = "about_blank")]
    pub type_urn: String,
    /// What was wrong and what to do, in a sentence.
    #[serde(default)]
    pub detail: String,
    /// The identifier that this is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
}

/// What RFC 7807 §3.1 has for a missing `type`.
fn about_blank() -> String {
    "about:blank".to_owned()
}

fn kind_of(urn: &str) -> Option<ProblemKind> {
    ProblemKind::ALL
        .iter()
        .copied()
        .find(|kind| kind.urn() == urn)
}

impl ProblemDocument {
    /// The same with another status than the kind's usual one, where the case calls for it.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// The kind, if it is one we know.
    pub fn kind(&self) -> Option<ProblemKind> {
        kind_of(&self.type_urn)
    }
}

impl Subproblem {
    /// The kind, if it is one we know.
    pub fn kind(&self) -> Option<ProblemKind> {
        kind_of(&self.type_urn)
    }
}

/// With the kind's usual status. Subproblems have no subproblems on the wire: theirs take their place.
impl From<&Problem> for ProblemDocument {
    fn from(problem: &Problem) -> Self {
        let mut subproblems = Vec::new();
        flatten(&problem.subproblems, &mut subproblems);
        Self {
            type_urn: problem.kind.urn(),
            status: Some(problem.kind.status()),
            detail: problem.detail.clone(),
            identifier: problem.identifier.as_ref().map(Identifier::from),
            algorithms: match problem.kind {
                ProblemKind::BadSignatureAlgorithm => Algorithm::names(),
                _ => Vec::new(),
            },
            subproblems,
        }
    }
}

fn flatten(problems: &[Problem], into: &mut Vec<Subproblem>) {
    for problem in problems {
        if problem.subproblems.is_empty() {
            into.push(Subproblem {
                type_urn: problem.kind.urn(),
                detail: problem.detail.clone(),
                identifier: problem.identifier.as_ref().map(Identifier::from),
            });
        } else {
            flatten(&problem.subproblems, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::Identifier as Name;
    use serde_json::{Value, json};

    use super::*;

    fn round_trip(document: &ProblemDocument) -> Value {
        let value = serde_json::to_value(document).unwrap();
        let back: ProblemDocument = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(&back, document);
        value
    }

    #[test]
    fn a_problem_reads_as_the_rfc_has_it() {
        let document = ProblemDocument::from(&Problem::new(ProblemKind::BadNonce, "Try again"));
        assert_eq!(
            round_trip(&document),
            json!({
                "type": "urn:ietf:params:acme:error:badNonce", "status": 400, "detail": "Try again"
            })
        );
        assert_eq!(document.kind(), Some(ProblemKind::BadNonce));
    }

    #[test]
    fn a_bad_algorithm_lists_the_good_ones() {
        let problem = Problem::new(ProblemKind::BadSignatureAlgorithm, "No");
        let value = round_trip(&ProblemDocument::from(&problem));
        assert_eq!(
            value["algorithms"],
            json!(["ES256", "ES384", "EdDSA", "RS256"])
        );
    }

    #[test]
    fn subproblems_name_their_identifiers_and_do_not_nest() {
        let about = |name: &str| {
            Problem::new(ProblemKind::RejectedIdentifier, "No").about(Name::dns(name).unwrap())
        };
        let inner = Problem::of_several(vec![about("a.example"), about("*.b.example")]).unwrap();
        let outer = Problem::of_several(vec![inner, about("c.example")]).unwrap();
        let value = round_trip(&ProblemDocument::from(&outer).with_status(403));
        assert_eq!(value["status"], 403);
        let values: Vec<_> = value["subproblems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sub| sub["identifier"]["value"].as_str().unwrap())
            .collect();
        assert_eq!(values, ["a.example", "*.b.example", "c.example"]);
    }

    #[test]
    fn documents_of_others_are_read_with_what_they_have() {
        let document: ProblemDocument = serde_json::from_value(json!({"title": "x"})).unwrap();
        assert_eq!(document.type_urn, "about:blank");
        assert_eq!(document.kind(), None);
    }
}
