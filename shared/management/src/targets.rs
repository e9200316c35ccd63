//! Places that certificates are delivered to.

use std::collections::BTreeSet;

use certfleet_audit::Act;
use certfleet_domain::{
    AgentName, Clock as _, CommandName, Endpoint, ProjectName, SystemClock, Target, TargetFile,
    TargetName,
};
use certfleet_storage::Store;

use crate::plan::Plan;
use crate::refused::Refused;

/// A place that is to be added.
pub struct NewTarget {
    /// Its name.
    pub name: TargetName,
    /// Whose it is: its agent has to be of the same project.
    pub project: ProjectName,
    /// On whose host.
    pub agent: AgentName,
    /// What is written there.
    pub files: Vec<TargetFile>,
    /// What is run when files have changed.
    pub reload: Option<CommandName>,
    /// Where the host serves the certificate.
    pub probe: Option<Endpoint>,
}

/// Whose a file is: `user` or `user:group`.
pub fn parse_owner(text: &str) -> Result<String, String> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    let parts: Vec<&str> = text.split(':').collect();
    let good = |part: &&str| (1..=32).contains(&part.len()) && part.bytes().all(plain);
    if parts.len() > 2 || !parts.iter().all(good) {
        return Err("user or user:group is due".to_owned());
    }
    Ok(text.to_owned())
}

/// The permission bits of a file with a key, in octal: nobody but owner and group reads it, and nobody executes it.
pub fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).map_err(|error| error.to_string())?;
    if mode & !0o660 != 0 || mode & 0o400 == 0 {
        return Err("400 to 660 is due: a key is for its owner and perhaps a group".to_owned());
    }
    Ok(mode)
}

/// A place is added.
pub async fn add(store: &Store, wish: NewTarget) -> Result<Plan<Target>, Refused> {
    let files = &wish.files;
    if files.is_empty() {
        return Err(Refused::Invalid("a file is due".to_owned()));
    }
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    if paths.len() < files.len() {
        let why = "two of the files are the same one";
        return Err(Refused::Conflict(why.to_owned()));
    }
    let named = files.iter().filter(|file| file.path.has_name()).count();
    if named != 0 && named != files.len() {
        let why = "{name} is in some of the paths and not in others: either each certificate has files of its own, or there is one";
        return Err(Refused::Conflict(why.to_owned()));
    }
    let agent = store.deliveries.agent(&wish.agent).await?;
    if agent.is_none_or(|agent| agent.project != wish.project) {
        return Err(Refused::not_found("agent", &wish.agent));
    }
    let target = Target {
        name: wish.name,
        project: wish.project,
        agent: wish.agent,
        files: wish.files,
        reload: wish.reload,
        probe: wish.probe,
        created_at: SystemClock.now(),
        version: 0,
    };
    let paths: Vec<&str> = target.files.iter().map(|file| file.path.as_str()).collect();
    let detail = format!("on {}: {}", target.agent, paths.join(" "));
    let on = format!("target/{}", target.name);
    let unit = store.deliveries.insert_target(&target)?;
    Ok(Plan::new(target, unit)
        .recording(Act::CreateTarget, on)
        .with_detail(detail)
        .if_taken("there is a target of this name already"))
}

/// A place is removed that nothing is delivered to any more. Files that are there stay.
pub async fn remove(store: &Store, target: Target) -> Result<Plan<Target>, Refused> {
    if store.deliveries.is_in_use(&target.name).await? {
        let why = format!("certificates are delivered to {} yet", target.name);
        return Err(Refused::Conflict(why));
    }
    let unit = store.deliveries.remove_target(&target);
    let on = format!("target/{}", target.name);
    Ok(Plan::new(target, unit).recording(Act::RemoveTarget, on))
}
