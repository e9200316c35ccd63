//! How far a long job is.

use std::fmt;

/// How far a long job is, as its worker reports it while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// How much is done, in what `of` names.
    pub done: u64,
    /// How much there is, if that is known.
    pub total: Option<u64>,
    /// What is counted: `orders`.
    pub of: String,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, total, of } = self;
        match total {
            Some(total) => write!(f, "{done} of {total} {of}"),
            None => write!(f, "{done} {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_much_of_how_much() {
        let mut progress = Progress {
            done: 5,
            total: Some(10),
            of: "orders".to_owned(),
        };
        assert_eq!(progress.to_string(), "5 of 10 orders");
        progress.total = None;
        assert_eq!(progress.to_string(), "5 orders");
    }
}
