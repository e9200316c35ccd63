//! Roles and what each may do, and where.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::ProjectName;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at the fleet.
    Viewer,
    /// Look at the fleet and at who has done what in it.
    Auditor,
    /// Look at the fleet; add, change, renew and remove certificates, and say where they go and where they should be served.
    Operator,
    /// All of that; and add and remove authorities, zones, agents, projects and tokens.
    Admin,
}

/// What a role is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To look at the fleet.
    Look,
    /// To look at who has done what.
    Audit,
    /// To work with certificates.
    Operate,
    /// To work with what holds secrets, and with who may do what.
    Administer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Auditor, Self::Operator, Self::Admin];

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether it is enough for this.
    pub fn may(self, permission: Permission) -> bool {
        match (self, permission) {
            (_, Permission::Look)
            | (Self::Admin, _)
            | (Self::Auditor, Permission::Audit)
            | (Self::Operator, Permission::Operate) => true,
            (Self::Viewer | Self::Operator, Permission::Audit)
            | (Self::Viewer | Self::Auditor, Permission::Operate)
            | (Self::Viewer | Self::Auditor | Self::Operator, Permission::Administer) => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("viewer, auditor, operator or admin is due")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or(UnknownRole)
    }
}

/// Where a role counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// In every project, and for what belongs to none.
    Everywhere,
    /// In this project alone.
    Project(ProjectName),
}

/// A role, where it counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// Where it counts.
    pub scope: Scope,
}

impl Grant {
    /// Whether it is enough for this in that project, or, without one, for what belongs to no project.
    pub fn allows(&self, permission: Permission, project: Option<&ProjectName>) -> bool {
        let reaches = match &self.scope {
            Scope::Everywhere => true,
            Scope::Project(own) => project == Some(own),
        };
        reaches && self.role.may(permission)
    }
}

/// Whose things somebody gets to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Everybody's.
    Everything,
    /// Those of these projects.
    Of(BTreeSet<ProjectName>),
}

impl Sight {
    /// What these grants let one see.
    pub fn by(grants: &[Grant]) -> Self {
        let mut projects = BTreeSet::new();
        for grant in grants {
            match &grant.scope {
                Scope::Everywhere => return Self::Everything,
                Scope::Project(project) => projects.insert(project.clone()),
            };
        }
        Self::Of(projects)
    }

    /// Whether it takes in this project.
    pub fn includes(&self, project: &ProjectName) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(projects) => projects.contains(project),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Everywhere => write!(f, "{}", self.role),
            Scope::Project(project) => write!(f, "{}@{project}", self.role),
        }
    }
}

impl FromStr for Grant {
    type Err = String;

    /// `ROLE` or `ROLE@PROJECT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (role, scope) = match text.split_once('@') {
            None => (text, Scope::Everywhere),
            Some((role, project)) => {
                let project: ProjectName = project.parse().map_err(|e| format!("{e}"))?;
                (role, Scope::Project(project))
            }
        };
        let role = role
            .parse()
            .map_err(|error: UnknownRole| error.to_string())?;
        Ok(Self { role, scope })
    }
}
