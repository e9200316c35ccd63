//! The YAML layer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_norway::{Mapping, Value};

use super::expand::expand;
use super::fault::{Fault, Origin};
use super::layers::{Entry, Layers, Raw, SECTIONS};

/// Reads the file into `layers`; `used` gathers the variables it names. Gives whether it is a file of sections at all.
pub(super) fn read(
    path: &Path,
    variables: &BTreeMap<String, String>,
    used: &mut BTreeSet<String>,
    layers: &mut Layers,
    faults: &mut Vec<Fault>,
) -> bool {
    let wrong = |what: String| Fault::Wrong(format!("{}: {what}", path.display()));
    let sections = match sections(path) {
        Ok(sections) => sections,
        Err(why) => {
            faults.push(wrong(why));
            return false;
        }
    };
    for (name, keys) in sections {
        let Some(name) = name.as_str().filter(|name| SECTIONS.contains(name)) else {
            faults.push(wrong(format!(
                "there is no section {}; the sections are {}",
                shown(&name),
                SECTIONS.join(", ")
            )));
            continue;
        };
        let keys = match keys {
            Value::Null => continue,
            Value::Mapping(keys) => keys,
            _ => {
                faults.push(wrong(format!(
                    "{name} is a section: keys with values are due"
                )));
                continue;
            }
        };
        for (key, value) in keys {
            let key = shown(&key);
            match raw(value, &mut |text| expand(text, variables, used)) {
                Ok(raw) => {
                    let origin = Origin::File(path.to_owned());
                    layers.set(name, &key, Entry { raw, origin });
                }
                Err(why) => faults.push(Fault::Wrong(format!(
                    "{name}.{key} ({}): {why}",
                    path.display()
                ))),
            }
        }
    }
    true
}

fn sections(path: &Path) -> Result<Mapping, String> {
    let content = fs::read_to_string(path).map_err(|error| error.to_string())?;
    match serde_norway::from_str(&content) {
        Ok(Value::Null) => Ok(Mapping::new()),
        Ok(Value::Mapping(sections)) => Ok(sections),
        Ok(_) => Err("sections with their keys are due".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A key as text, whatever it is.
fn shown(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn raw(
    value: Value,
    expand: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Raw, String> {
    match value {
        Value::Null => Ok(Raw::Unset),
        Value::Sequence(items) => items
            .into_iter()
            .map(|item| scalar(item, expand))
            .collect::<Result<_, _>>()
            .map(Raw::List),
        other => scalar(other, expand).map(Raw::Text),
    }
}

fn scalar(
    value: Value,
    expand: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<String, String> {
    match value {
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        Value::String(text) => expand(&text),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
            Err("a value or a list of values is due".to_owned())
        }
    }
}
