//! What an authority lets the fleet have: its limits, kept to by all workers together (FLT-5).

use std::time::Duration;

use crate::UpstreamName;
use crate::identifier::Identifier;
use crate::limits::{Limit, LimitKey, Rate, registered_domain};

/// So many orders, where an order that says what it replaces (RFC 9773 §5) counts for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budget {
    /// Orders of the fleet's account.
    pub orders: Option<Rate>,
    /// Orders with a name in one registered domain.
    pub orders_per_domain: Option<Rate>,
    /// Orders for exactly the same names.
    pub orders_per_name_set: Option<Rate>,
}

const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

impl Budget {
    /// That of Let's Encrypt, as it is published (2026-08): 300 orders of an account in 3 hours, 50 for a registered domain and
    /// 5 for exactly the same names in 7 days.
    pub fn lets_encrypt() -> Self {
        Self {
            orders: Rate::new(300, 3 * HOUR).ok(),
            orders_per_domain: Rate::new(50, WEEK).ok(),
            orders_per_name_set: Rate::new(5, WEEK).ok(),
        }
    }

    /// Whether it lets everything through.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// What one order for these names is charged to. The whole account last: what is refused for a name is not to be charged to
    /// all others meanwhile.
    pub fn charges(&self, upstream: &UpstreamName, names: &[Identifier]) -> Vec<(LimitKey, Rate)> {
        let key = |limit, subject: String, words: String| LimitKey {
            limit,
            subject: format!("upstream/{upstream}/{subject}"),
            words,
            about: None,
        };
        let mut charges = Vec::new();
        if let Some(rate) = self.orders_per_name_set {
            let mut set: Vec<String> = names.iter().map(ToString::to_string).collect();
            set.sort();
            let words = "orders for exactly these names".to_owned();
            charges.push((key(Limit::OrdersPerNameSet, set.join(","), words), rate));
        }
        if let Some(rate) = self.orders_per_domain {
            let mut domains: Vec<String> = names.iter().map(registered_domain).collect();
            domains.sort();
            domains.dedup();
            for domain in domains {
                let words = format!("orders for names in {domain}");
                charges.push((key(Limit::OrdersPerDomain, domain, words), rate));
            }
        }
        if let Some(rate) = self.orders {
            let words = "orders of the fleet's account".to_owned();
            charges.push((
                key(Limit::OrdersPerAccount, "account".to_owned(), words),
                rate,
            ));
        }
        charges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_charged_once_for_each_domain_its_set_and_the_account() {
        let names: Vec<Identifier> = [
            "www.example.org",
            "example.org",
            "a.example.net",
            "192.0.2.1",
        ]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
        let upstream = "elsewhere".parse().unwrap();
        let charges = Budget::lets_encrypt().charges(&upstream, &names);
        let subjects: Vec<&str> = charges
            .iter()
            .map(|(key, _)| key.subject.as_str())
            .collect();
        assert_eq!(
            subjects,
            [
                "upstream/elsewhere/192.0.2.1,a.example.net,example.org,www.example.org",
                "upstream/elsewhere/192.0.2.1",
                "upstream/elsewhere/example.net",
                "upstream/elsewhere/example.org",
                "upstream/elsewhere/account",
            ]
        );
        let rates: Vec<String> = charges.iter().map(|(_, rate)| rate.to_string()).collect();
        assert_eq!(rates, ["5/7d", "50/7d", "50/7d", "50/7d", "300/3h"]);
        assert!(Budget::default().charges(&upstream, &names).is_empty());
        assert!(Budget::default().is_unlimited() && !Budget::lets_encrypt().is_unlimited());
    }
}
