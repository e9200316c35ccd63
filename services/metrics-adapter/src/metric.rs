//! What can be asked for.

use std::collections::BTreeMap;

use crate::reading::Queue;
use crate::selector::Selector;
use crate::wire::ExternalMetricValue;

/// The label that the kinds of job are told apart by.
pub const KIND: &str = "kind";

/// A metric by its name, which is that of the gauge on `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// How many jobs wait or are in hand: a value for each kind, which are for adding up.
    Depth,
    /// For how long the oldest of them has been there, in seconds: one value, the greatest of all kinds that are asked for.
    OldestAge,
}

impl Metric {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Depth, Self::OldestAge];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Depth => "certfleet_queue_depth",
            Self::OldestAge => "certfleet_queue_oldest_age_seconds",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Its values in this queue, of the kinds that the selector is for, as of this moment (RFC 3339).
    pub fn values(self, queue: &Queue, selector: &Selector, at: &str) -> Vec<ExternalMetricValue> {
        let mut wanted = queue
            .iter()
            .filter(|(kind, _)| selector.matches(kind))
            .peekable();
        if wanted.peek().is_none() {
            return Vec::new();
        }
        let value = |labels, value: String| ExternalMetricValue {
            metric_name: self.name(),
            metric_labels: labels,
            timestamp: at.to_owned(),
            value,
        };
        match self {
            Self::Depth => wanted
                .map(|(kind, waiting)| {
                    let labels = BTreeMap::from([(KIND.to_owned(), kind.clone())]);
                    value(labels, waiting.depth.to_string())
                })
                .collect(),
            // Whoever asks adds up what comes, and ages are not for that.
            Self::OldestAge => {
                let oldest = wanted.map(|(_, waiting)| waiting.oldest).max();
                let seconds = oldest.unwrap_or_default().as_secs();
                vec![value(BTreeMap::new(), seconds.to_string())]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use certfleet_storage::Waiting;

    use super::*;

    fn queue() -> Queue {
        [("one", 3, 70), ("other", 0, 0), ("third", 5, 20)]
            .map(|(kind, depth, seconds)| {
                let oldest = Duration::from_secs(seconds);
                (kind.to_owned(), Waiting { depth, oldest })
            })
            .into()
    }

    fn values(metric: Metric, selector: &str) -> Vec<(String, String)> {
        let selector = Selector::parse(selector, |_| true).unwrap();
        let values = metric.values(&queue(), &selector, "2026-01-01T00:00:00Z");
        let labels = |labels: BTreeMap<String, String>| labels.into_values().collect();
        values
            .into_iter()
            .map(|value| (labels(value.metric_labels), value.value))
            .collect()
    }

    #[test]
    fn depths_are_for_adding_up_and_ages_are_not() {
        let text = |kind: &str, value: &str| (kind.to_owned(), value.to_owned());
        assert_eq!(
            values(Metric::Depth, ""),
            [text("one", "3"), text("other", "0"), text("third", "5")]
        );
        assert_eq!(
            values(Metric::Depth, "kind!=one,kind!=third"),
            [text("other", "0")]
        );
        assert_eq!(values(Metric::OldestAge, ""), [text("", "70")]);
        assert_eq!(
            values(Metric::OldestAge, "kind in (other,third)"),
            [text("", "20")]
        );
        assert_eq!(values(Metric::OldestAge, "kind in (none)"), []);
    }
}
