//! Which of our crates may stand on which, by the workspace as Cargo sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// The house, from the ground up: each crate, and which of ours it may depend on directly. What a service stands on is
/// its own affair, but for the rules below.
const SHARED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("crash-points", &[]),
    ("trace", &["domain"]),
    ("acme", &["domain"]),
    ("jobs", &["domain"]),
    ("secrets", &["domain"]),
    ("audit", &["domain"]),
    ("pki", &["domain"]),
    ("outgoing", &[]),
    ("agent-protocol", &["domain"]),
    ("dns-update", &["domain"]),
    ("notify", &["domain", "outgoing"]),
    ("tls-probe", &[]),
    ("pkcs11", &["domain", "secrets"]),
    ("kek", &["outgoing", "pkcs11", "secrets"]),
    ("signer", &["domain", "pkcs11", "pki"]),
    (
        "storage",
        &[
            "domain",
            "crash-points",
            "acme",
            "jobs",
            "secrets",
            "audit",
            "pki",
            "trace",
        ],
    ),
    ("validation", &["domain", "acme"]),
    ("upstream", &["domain", "acme", "outgoing"]),
    ("deploy", &["domain", "pki"]),
    ("forwarding", &["audit", "outgoing"]),
    // Of forwarding it takes what a receiver's setting may say.
    ("service-kit", &["domain", "secrets", "trace", "forwarding"]),
    ("migrations", &["domain", "storage"]),
    (
        "data-kit",
        &[
            "audit",
            "domain",
            "kek",
            "pkcs11",
            "secrets",
            "storage",
            "migrations",
            "service-kit",
        ],
    ),
    (
        "management",
        &[
            "acme",
            "agent-protocol",
            "audit",
            "domain",
            "jobs",
            "pki",
            "secrets",
            "storage",
        ],
    ),
    ("backup", &["audit", "domain", "storage", "migrations"]),
    ("supervisor", &[]),
    ("testkit", &["supervisor"]),
];

/// What faces the internet links none of these: it holds no signing key, and speaks to nobody but its clients.
const NOT_IN_THE_API: &[&str] = &[
    "certfleet-signer",
    "certfleet-upstream",
    "certfleet-deploy",
    "certfleet-dns-update",
    "certfleet-notify",
];

/// What knows no database.
const WITHOUT_DATABASE: &[&str] = &[
    "certfleet-acme",
    "certfleet-jobs",
    "certfleet-pki",
    "certfleet-validation",
    "certfleet-upstream",
    "certfleet-deploy",
    "certfleet-notify",
];

struct Workspace {
    metadata: Metadata,
    /// Normal dependencies, by package.
    edges: BTreeMap<PackageId, BTreeSet<PackageId>>,
}

/// The platform that is built for here, as the compiler names it.
fn host() -> Result<String> {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--print", "host-tuple"])
        .output()?;
    ensure!(output.status.success(), "rustc does not name its host");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Workspace {
    fn read() -> Result<Self> {
        // Of other platforms the packages may not be there: no build here has fetched them.
        let metadata = MetadataCommand::new()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .other_options([
                "--offline".to_owned(),
                "--filter-platform".to_owned(),
                host()?,
            ])
            .exec()?;
        let resolve = metadata
            .resolve
            .as_ref()
            .context("no dependencies are resolved")?;
        let normal = |kinds: &[cargo_metadata::DepKindInfo]| {
            kinds.iter().any(|info| info.kind == DependencyKind::Normal)
        };
        let edges = resolve
            .nodes
            .iter()
            .map(|node| {
                let on = node
                    .deps
                    .iter()
                    .filter(|dependency| normal(&dependency.dep_kinds));
                (
                    node.id.clone(),
                    on.map(|dependency| dependency.pkg.clone()).collect(),
                )
            })
            .collect();
        Ok(Self { metadata, edges })
    }

    fn name(&self, id: &PackageId) -> &str {
        &self.metadata[id].name
    }

    /// Our own crates: id, name, and folder such as `services`.
    fn ours(&self) -> impl Iterator<Item = (&PackageId, &str, &str)> {
        self.metadata
            .workspace_packages()
            .into_iter()
            .map(|package| {
                let folder = package
                    .manifest_path
                    .strip_prefix(&self.metadata.workspace_root);
                let folder = folder
                    .ok()
                    .and_then(|path| path.iter().next())
                    .unwrap_or_default();
                (&package.id, package.name.as_str(), folder)
            })
    }

    /// Our own crates that this one depends on directly.
    fn own_dependencies(&self, id: &PackageId) -> BTreeSet<&str> {
        let ours: BTreeSet<&PackageId> = self.metadata.workspace_members.iter().collect();
        self.edges[id]
            .iter()
            .filter(|id| ours.contains(id))
            .map(|id| self.name(id))
            .collect()
    }

    /// The names of all that this one depends on, however far away.
    fn reaches(&self, id: &PackageId) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for next in &self.edges[id] {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().map(|id| self.name(id)).collect()
    }
}

#[test]
fn each_shared_crate_stands_on_those_below_it_only() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut known = 0;
    for (id, name, folder) in workspace.ours() {
        if folder != "shared" && folder != "migrations" {
            continue;
        }
        let short = name.trim_start_matches("certfleet-");
        let (_, allowed) = SHARED
            .iter()
            .find(|(crate_name, _)| *crate_name == short)
            .with_context(|| format!("{name} has no place in the house yet: give it one here"))?;
        for dependency in workspace.own_dependencies(id) {
            let on = dependency.trim_start_matches("certfleet-");
            ensure!(
                allowed.contains(&on),
                "{name} must not stand on {dependency}"
            );
        }
        known += 1;
    }
    ensure!(known >= 10, "only {known} crates were looked at");
    Ok(())
}

#[test]
fn services_know_nothing_of_each_other() -> Result<()> {
    let workspace = Workspace::read()?;
    let services: BTreeSet<&str> = workspace
        .ours()
        .filter(|(_, _, folder)| *folder == "services")
        .map(|(_, name, _)| name)
        .collect();
    ensure!(
        services.contains("certfleet-api") && services.len() >= 4,
        "{services:?}"
    );
    for (id, name, _) in workspace
        .ours()
        .filter(|(_, name, _)| services.contains(name))
    {
        let others: Vec<&str> = workspace
            .reaches(id)
            .intersection(&services)
            .copied()
            .collect();
        ensure!(others.is_empty(), "{name} depends on {others:?}");
        ensure!(
            !workspace.reaches(id).contains("certfleet-testkit"),
            "{name} needs what is for tests"
        );
    }
    Ok(())
}

#[test]
fn the_api_links_nothing_that_signs_renews_or_deploys() -> Result<()> {
    let workspace = Workspace::read()?;
    let find = |due: &str| workspace.ours().find(|(_, name, _)| *name == due);
    let (api, ..) = find("certfleet-api").context("no API")?;
    let reached = workspace.reaches(api);
    ensure!(
        reached.contains("certfleet-storage"),
        "nothing is reached: {reached:?}"
    );
    for forbidden in NOT_IN_THE_API {
        ensure!(!reached.contains(forbidden), "the API links {forbidden}");
    }
    // That this would be noticed: the worker does.
    let (worker, ..) = find("certfleet-worker").context("no worker")?;
    ensure!(
        workspace.reaches(worker).contains("certfleet-signer"),
        "the worker signs nothing"
    );
    Ok(())
}

#[test]
fn what_knows_no_database_links_none() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut found = 0;
    for (id, name, _) in workspace.ours() {
        if WITHOUT_DATABASE.contains(&name) {
            ensure!(
                !workspace.reaches(id).contains("mongodb"),
                "{name} links mongodb"
            );
            found += 1;
        }
    }
    ensure!(found >= 4, "only {found} crates were looked at");
    Ok(())
}
