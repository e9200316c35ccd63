//! What a worker has room for.

use std::collections::HashMap;

use crate::lane::Lane;

/// What a worker has room for in one lane: so many jobs, and of those for one party no more than its share of the hands.
/// Whoever has a thousand slow ones waits for them by itself.
#[derive(Debug, Clone)]
pub struct Room {
    lane: Lane,
    hands: usize,
    /// The most jobs in hand for one party.
    share: usize,
    /// How much of its share each party has left, of those that have anything in hand.
    left: HashMap<String, usize>,
}

impl Room {
    /// Room for `hands` more jobs of a lane, none of them for a party of which `share` are in hand; `in_hand` has the
    /// party of each job of this lane that is, as far as it has one.
    pub fn new<'p>(
        lane: Lane,
        hands: usize,
        share: usize,
        in_hand: impl IntoIterator<Item = &'p str>,
    ) -> Self {
        let mut left = HashMap::new();
        for party in in_hand {
            let left = left.entry(party.to_owned()).or_insert(share);
            *left = left.saturating_sub(1);
        }
        Self {
            lane,
            hands,
            share,
            left,
        }
    }

    /// The lane.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// How many jobs there is room for at most.
    pub fn hands(&self) -> usize {
        self.hands
    }

    /// Takes room for a job of this lane and this party; says whether there was any.
    pub fn admit(&mut self, party: Option<&str>) -> bool {
        let admitted = self.hands > 0
            && party.is_none_or(|party| {
                let left = self.left.entry(party.to_owned()).or_insert(self.share);
                let any = *left > 0;
                *left = left.saturating_sub(1);
                any
            });
        if admitted {
            self.hands -= 1;
        }
        admitted
    }

    /// The parties that there is no room for.
    pub fn crowded(&self) -> impl Iterator<Item = &str> {
        self.left
            .iter()
            .filter(|(_, left)| **left == 0)
            .map(|(party, _)| party.as_str())
    }

    /// Whether there is a job that there is no room for, or may be.
    pub fn is_short(&self) -> bool {
        self.hands == 0 || self.crowded().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_gets_its_share_and_no_more_and_others_get_the_rest() {
        let mut room = Room::new(Lane::Outside, 5, 3, ["a", "a", "b"]);
        assert!(room.admit(Some("a")));
        assert!(!room.admit(Some("a")), "three are in hand");
        assert!(room.is_short());
        assert_eq!(room.crowded().collect::<Vec<_>>(), ["a"]);
        assert!(room.admit(Some("b")) && room.admit(Some("b")));
        assert!(!room.admit(Some("b")));
        assert!(room.admit(None) && room.admit(Some("c")));
        assert_eq!(room.hands(), 0);
        assert!(
            !room.admit(None) && !room.admit(Some("d")),
            "no hand is left"
        );
    }

    #[test]
    fn room_enough_is_not_short() {
        let mut room = Room::new(Lane::Inside, 2, 1, []);
        assert!(!room.is_short());
        assert!(room.admit(None));
        assert!(!room.is_short());
        assert!(Room::new(Lane::Inside, 0, 1, []).is_short());
    }
}
