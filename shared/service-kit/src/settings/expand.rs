//! `${VAR}` and `${VAR:-default}` in the settings file.
//!
//! Values are expanded after the file is parsed, so that a variable's content can never change the
//! file's structure. `$$` stands for one `$`; a `$` before anything else stands for itself.

use std::collections::{BTreeMap, BTreeSet};

/// Expands one value. `used` gathers the variables that the file names.
pub(super) fn expand(
    text: &str,
    variables: &BTreeMap<String, String>,
    used: &mut BTreeSet<String>,
) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (inner, after) = after.split_once('}').ok_or("a ${ is not closed with a }")?;
            expanded.push_str(&lookup(inner, variables, used)?);
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn lookup(
    inner: &str,
    variables: &BTreeMap<String, String>,
    used: &mut BTreeSet<String>,
) -> Result<String, String> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain)
    {
        return Err(format!(
            "${{{name}}} does not name a variable: ${{VAR}} or ${{VAR:-default}} is due"
        ));
    }
    used.insert(name.to_owned());
    match (variables.get(name), default) {
        // As in a shell, a default also stands in for an empty variable.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value.clone()),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("the variable {name} is not set")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let variables = [("A", "one"), ("EMPTY", ""), ("TRICK", "${A}")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        expand(text, &variables.into(), &mut BTreeSet::new())
    }

    #[test]
    fn variables_defaults_and_dollars() {
        for (text, due) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("${EMPTY}", ""),
            ("${EMPTY:-two}", "two"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("5$ and $A", "5$ and $A"),
            ("${TRICK}", "${A}"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(due), "{text}");
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(
            expanded("x${NOPE}").unwrap_err(),
            "the variable NOPE is not set"
        );
        for bad in ["${", "${A", "${}", "${A B}", "${1A}"] {
            assert!(expanded(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_is_left_alone(text in "[^$]*") {
            prop_assert_eq!(expanded(&text), Ok(text));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[$A{}:é-]*") {
            let _ = expanded(&text);
        }
    }
}
