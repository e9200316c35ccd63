//! Projects.

use certfleet_audit::Act;
use certfleet_domain::{Clock as _, Project, ProjectName, Sight, SystemClock};
use certfleet_storage::{Store, Which};

use crate::plan::Plan;
use crate::refused::Refused;

/// A project is added.
pub fn add(
    store: &Store,
    name: ProjectName,
    title: Option<String>,
) -> Result<Plan<Project>, Refused> {
    if name.is_default() {
        let why = "the project default is there from the beginning";
        return Err(Refused::Conflict(why.to_owned()));
    }
    let project = Project {
        name,
        title,
        created_at: SystemClock.now(),
        version: 0,
    };
    let unit = store.access.insert_project(&project)?;
    let target = format!("project/{}", project.name);
    Ok(Plan::new(project, unit).recording(Act::CreateProject, target))
}

/// A project is removed that has nothing any more. Something that is added to it at the same moment is left without it, and is
/// seen by those only who see everything.
pub async fn remove(store: &Store, project: Project) -> Result<Plan<Project>, Refused> {
    let name = &project.name;
    let in_the_way = |what: &str| Refused::Conflict(format!("{name} has {what} yet"));
    if name.is_default() {
        return Err(Refused::Conflict("the project default stays".to_owned()));
    }
    let which = Which {
        sight: Sight::Of([name.clone()].into()),
        ..Which::all()
    };
    if !store.inventory.added(&which, None, 1).await?.is_empty() {
        return Err(in_the_way("certificates"));
    }
    let (targets, agents) = (store.deliveries.targets(), store.deliveries.agents());
    if targets.await?.iter().any(|one| one.project == *name) {
        return Err(in_the_way("targets"));
    }
    if agents.await?.iter().any(|one| one.project == *name) {
        return Err(in_the_way("agents"));
    }
    let (upstreams, solvers) = (store.fleet.upstreams(), store.solvers.all());
    if upstreams.await?.iter().any(|one| one.project == *name) {
        return Err(in_the_way("authorities"));
    }
    if solvers.await?.iter().any(|one| one.project == *name) {
        return Err(in_the_way("solvers"));
    }
    let unit = store.access.remove_project(&project);
    let target = format!("project/{name}");
    Ok(Plan::new(project, unit).recording(Act::RemoveProject, target))
}

/// The project of this name is there.
pub(crate) async fn require(store: &Store, name: &ProjectName) -> Result<(), Refused> {
    match store.access.project(name).await? {
        Some(_) => Ok(()),
        None => Err(Refused::not_found("project", name)),
    }
}
