//! What a drill has counted and measured.

use std::time::Duration;

use serde::Serialize;

/// What a drill has counted and measured, in the order in which it says so.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures(Vec<(String, String)>);

impl Figures {
    /// One more.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike")]
    pub fn add(&mut self, what: impl Into<String>, how_much: impl ToString) {
        self.0.push((what.into(), how_much.to_string()));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(what, how_much)| (&**what, &**how_much))
    }
}

/// Several times of the same kind.
#[derive(Debug, Clone, Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// All of them.
    pub fn times(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest; zero if there is none.
    pub fn longest(&self) -> Duration {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

impl Extend<Duration> for Spread {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, times: T) {
        self.0.extend(times);
    }
}

/// Least, median and greatest, in seconds, and of how many.
impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut times = self.0.clone();
        times.sort_unstable();
        let (Some(least), Some(greatest)) = (times.first(), times.last()) else {
            return f.write_str("none");
        };
        let median = times[times.len() / 2];
        write!(
            f,
            "{:.1} s .. {:.1} s .. {:.1} s (least, median, greatest of {})",
            least.as_secs_f64(),
            median.as_secs_f64(),
            greatest.as_secs_f64(),
            times.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_shows_its_ends_and_its_middle() {
        let mut spread = Spread::default();
        assert_eq!(spread.to_string(), "none");
        spread.extend([3, 1, 2].map(Duration::from_secs));
        assert_eq!(
            spread.to_string(),
            "1.0 s .. 2.0 s .. 3.0 s (least, median, greatest of 3)"
        );
        assert_eq!(spread.longest(), Duration::from_secs(3));
    }
}
