use certfleet_domain::{Budget, Rate, Solver, Upstream};
use serde::Serialize;
use utoipa::ToSchema;

use super::texts;

/// How much of an authority the fleet may have: rates such as `300/3h`; without one, as much as it likes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsView {
    /// Orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub orders: Option<String>,
    /// Orders with a name in one registered domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub orders_per_domain: Option<String>,
    /// Orders for exactly the same names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub orders_per_name_set: Option<String>,
}

impl From<&Budget> for LimitsView {
    fn from(budget: &Budget) -> Self {
        let text = |rate: Option<Rate>| rate.map(|rate| rate.to_string());
        Self {
            orders: text(budget.orders),
            orders_per_domain: text(budget.orders_per_domain),
            orders_per_name_set: text(budget.orders_per_name_set),
        }
    }
}

impl LimitsView {
    /// All that there are.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let all = [
            &self.orders,
            &self.orders_per_domain,
            &self.orders_per_name_set,
        ];
        all.into_iter().filter_map(Option::as_deref)
    }
}

/// An authority that the fleet has certificates from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upstream)]
pub struct UpstreamView {
    /// Its name in the fleet.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// The URL of its ACME directory.
    pub directory: String,
    /// The profile that is ordered.
    pub profile: Option<String>,
    /// How the authority reaches whoever runs the fleet.
    pub contacts: Vec<String>,
    /// The URL of the fleet's account, once there is one.
    pub account: Option<String>,
    /// Whether that account is bound to one there.
    pub bound: bool,
    /// How much of it the fleet may have.
    pub limits: LimitsView,
}

impl From<&Upstream> for UpstreamView {
    fn from(upstream: &Upstream) -> Self {
        Self {
            name: upstream.name.to_string(),
            project: upstream.project.to_string(),
            directory: upstream.directory.clone(),
            profile: upstream.profile.clone(),
            contacts: texts(&upstream.contacts),
            account: upstream.account.clone(),
            bound: upstream.binding.is_some(),
            limits: LimitsView::from(&upstream.budget),
        }
    }
}

/// A zone that the fleet may change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Solver)]
pub struct SolverView {
    /// Its name in the fleet.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// The zone.
    pub zone: String,
    /// Its primary server, which takes dynamic updates.
    pub server: String,
    /// By what name the server knows the key.
    pub key_name: String,
    /// The key's algorithm.
    pub algorithm: &'static str,
    /// The servers that have to show a proof; the primary alone, if there is none.
    pub watched: Vec<String>,
}

impl From<&Solver> for SolverView {
    fn from(solver: &Solver) -> Self {
        Self {
            name: solver.name.to_string(),
            project: solver.project.to_string(),
            zone: solver.zone.to_string(),
            server: solver.server.to_string(),
            key_name: solver.key_name.to_string(),
            algorithm: solver.algorithm.name(),
            watched: texts(&solver.watched),
        }
    }
}
