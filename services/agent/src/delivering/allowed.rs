//! What the host's owner allows: the API's word is none.

use std::fs;
use std::path::{Component, Path};

use certfleet_agent_protocol::Item;
use certfleet_domain::CommandName;

use crate::settings::Settings;

/// Whether all of an item may be done; else why not, for people.
pub fn check(settings: &Settings, item: &Item) -> Result<(), String> {
    if let Some(name) = &item.reload
        && !settings.commands.contains_key(name)
    {
        return Err(no_command(name));
    }
    for file in &item.files {
        if !may_write(settings, Path::new(&file.path)) {
            return Err(format!(
                "this host's settings do not allow {}: `directories` has to have a directory above it, which is there",
                file.path
            ));
        }
        // No set-id bits, nothing that others may write, nothing executable.
        if file.mode & !0o664 != 0 {
            return Err(format!(
                "{}: mode {:o} is not to be had",
                file.path, file.mode
            ));
        }
    }
    Ok(())
}

/// What is said where a command is not allowed.
pub fn no_command(name: &CommandName) -> String {
    format!("this host's settings allow no command {name}: `commands` has to have it")
}

/// Whether the directory of a path, as it is when all links are followed, lies at or below one that is allowed.
fn may_write(settings: &Settings, path: &Path) -> bool {
    let plain = path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let (true, Some(parent), Some(_)) = (plain, path.parent(), path.file_name()) else {
        return false;
    };
    let Ok(parent) = fs::canonicalize(parent) else {
        return false;
    };
    let allowed = settings.directories.iter();
    allowed
        .filter_map(|directory| fs::canonicalize(directory).ok())
        .any(|directory| parent.starts_with(directory))
}
