//! Label selectors, as Kubernetes writes them: `kind=a`, `kind!=a`, `kind in (a,b)`, `kind notin (a,b)`, `kind`, and several
//! of these with commas between.

use crate::metric::KIND;

/// The longest selector that is read, in octets.
const LONGEST: usize = 4096;

/// Which kinds are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(Vec<String>),
    NotIn(Vec<String>),
    /// That there is no such label, which there always is.
    Never,
}

/// What is wrong with a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// It is not written like one.
    #[error(
        "labelSelector: {0:?} is not understood: kind=NAME, kind!=NAME, kind in (NAME,NAME) or kind notin (NAME,NAME) is due"
    )]
    Form(String),
    /// There is no such label.
    #[error("labelSelector: there is no label {0:?}: the only one is kind")]
    Label(String),
    /// There is no such kind.
    #[error("labelSelector: there is no kind of job {0:?}")]
    Kind(String),
    /// It goes on and on.
    #[error("labelSelector: it is longer than {LONGEST} octets")]
    Long,
}

impl Selector {
    /// Reads one; `is_kind` tells which kinds there are. A kind that is not there would match nothing, and so nobody would
    /// hear of a mistake in its name.
    pub fn parse(text: &str, is_kind: impl Fn(&str) -> bool) -> Result<Self, InvalidSelector> {
        if text.len() > LONGEST {
            return Err(InvalidSelector::Long);
        }
        let requirements: Vec<Requirement> = parts(text)
            .map(|part| requirement(part.trim()))
            .collect::<Result<_, _>>()?;
        for requirement in &requirements {
            let (Requirement::In(kinds) | Requirement::NotIn(kinds)) = requirement else {
                continue;
            };
            if let Some(unknown) = kinds.iter().find(|kind| !is_kind(kind)) {
                return Err(InvalidSelector::Kind(unknown.clone()));
            }
        }
        Ok(Self(requirements))
    }

    /// Whether this kind is wanted.
    pub fn matches(&self, kind: &str) -> bool {
        let is_in = |kinds: &[String]| kinds.iter().any(|other| other == kind);
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(kinds) => is_in(kinds),
            Requirement::NotIn(kinds) => !is_in(kinds),
            Requirement::Never => false,
        })
    }
}

/// What is between commas that are not between brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let parts = text.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    parts.filter(move |_| !text.trim().is_empty())
}

fn requirement(part: &str) -> Result<Requirement, InvalidSelector> {
    let wrong = || InvalidSelector::Form(part.to_owned());
    let end = part
        .find(|character: char| !is_of_a_name(character))
        .unwrap_or(part.len());
    let (negated, label, rest) = match part.strip_prefix('!') {
        Some(label) => (true, label.trim(), ""),
        None => (false, &part[..end], part[end..].trim()),
    };
    if label.is_empty() || !label.chars().all(is_of_a_name) {
        return Err(wrong());
    }
    if label != KIND {
        return Err(InvalidSelector::Label(label.to_owned()));
    }
    let one = |value: &str| {
        let value = value.trim();
        let fits = !value.is_empty() && value.chars().all(is_of_a_name);
        fits.then(|| vec![value.to_owned()]).ok_or_else(wrong)
    };
    if negated {
        Ok(Requirement::Never)
    } else if rest.is_empty() {
        Ok(Requirement::NotIn(Vec::new()))
    } else if let Some(value) = rest.strip_prefix("!=") {
        Ok(Requirement::NotIn(one(value)?))
    } else if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        Ok(Requirement::In(one(value)?))
    } else if let Some(values) = rest.strip_prefix("notin") {
        Ok(Requirement::NotIn(several(values).ok_or_else(wrong)?))
    } else if let Some(values) = rest.strip_prefix("in") {
        Ok(Requirement::In(several(values).ok_or_else(wrong)?))
    } else {
        Err(wrong())
    }
}

fn several(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    let values: Vec<String> = inner
        .split(',')
        .map(|value| value.trim().to_owned())
        .collect();
    let fits = |value: &String| !value.is_empty() && value.chars().all(is_of_a_name);
    values.iter().all(fits).then_some(values)
}

fn is_of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(selector: &str) -> Result<Vec<&'static str>, InvalidSelector> {
        let kinds = ["sign", "validate", "renew"];
        let selector = Selector::parse(selector, |kind| kinds.contains(&kind))?;
        Ok(kinds
            .into_iter()
            .filter(|kind| selector.matches(kind))
            .collect())
    }

    #[test]
    fn selectors_are_read_as_kubernetes_writes_them() {
        for (selector, due) in [
            ("", &["sign", "validate", "renew"][..]),
            ("  ", &["sign", "validate", "renew"]),
            ("kind", &["sign", "validate", "renew"]),
            ("!kind", &[]),
            ("kind=sign", &["sign"]),
            ("kind == sign", &["sign"]),
            ("kind!=sign", &["validate", "renew"]),
            ("kind in (sign,renew)", &["sign", "renew"]),
            ("kind in (sign, renew),kind!=renew", &["sign"]),
            ("kind notin (sign,renew)", &["validate"]),
            ("kind=sign,kind=renew", &[]),
        ] {
            assert_eq!(matched(selector).unwrap(), due, "{selector}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for selector in [
            ",",
            "kind=",
            "kind in",
            "kind in ()",
            "kind in (sign",
            "kind>1",
            "=sign",
            "kind=a b",
            "kind in (sign,)",
            "kind=sign,",
            "!",
            "kind=sign)",
            "é=1",
        ] {
            let why = matched(selector).unwrap_err();
            assert!(matches!(why, InvalidSelector::Form(_)), "{selector}: {why}");
        }
        let label = matched("queue=sign").unwrap_err();
        assert_eq!(label, InvalidSelector::Label("queue".to_owned()));
        let kind = matched("kind in (sign,sing)").unwrap_err();
        assert_eq!(kind, InvalidSelector::Kind("sing".to_owned()));
        assert_eq!(matched(&"k".repeat(5000)), Err(InvalidSelector::Long));
    }
}
