//! The environment layer: `CERTFLEET_<SECTION>_<KEY>`.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Fault, Origin};
use super::layers::{Entry, Layers, Raw, SECTIONS};

/// Variables that begin like a setting and are none: the settings file's own name, and what the
/// programs that start services on one machine tell them and each other.
const NOT_SETTINGS: [&str; 3] = [
    "CERTFLEET_CONFIG",
    "CERTFLEET_MONGOD",
    "CERTFLEET_SUPERVISED",
];

/// Lays the environment over `layers`. Variables in `used` are named by the file, and so may have any
/// name.
pub(super) fn read(
    environment: &BTreeMap<String, String>,
    used: &BTreeSet<String>,
    layers: &mut Layers,
    faults: &mut Vec<Fault>,
) {
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix("CERTFLEET_") else {
            continue;
        };
        if NOT_SETTINGS.contains(&name.as_str()) || is_service_link(name, environment) {
            continue;
        }
        let (section, key) = rest.split_once('_').unwrap_or((rest, ""));
        let (section, key) = (section.to_lowercase(), key.to_lowercase());
        if SECTIONS.contains(&section.as_str()) && !key.is_empty() {
            let entry = Entry {
                raw: Raw::Text(value.clone()),
                origin: Origin::Variable(name.clone()),
            };
            layers.set(&section, &key, entry);
        } else if !used.contains(name) {
            faults.push(Fault::Wrong(format!(
                "{name} is not a setting: CERTFLEET_<SECTION>_<KEY> is due, and the sections are {}",
                SECTIONS.join(", ")
            )));
        }
    }
}

/// Whether the variable is one of those by which Kubernetes tells every pod of every service, such as
/// `CERTFLEET_API_PORT_8443_TCP_ADDR` for a service named `certfleet-api`.
fn is_service_link(name: &str, environment: &BTreeMap<String, String>) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"]
        .iter()
        .flat_map(|mark| name.match_indices(mark))
        .any(|(at, _)| {
            let service = &name[..at];
            environment.contains_key(&format!("{service}_SERVICE_HOST"))
        })
}
