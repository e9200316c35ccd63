//! When somebody is told that a certificate was not renewed: 30, 14, 7 and 1 days before its end, and at its end; for short lives at
//! the same parts of them, as if 90 days were the whole.

use time::Duration;

use crate::clock::Timestamp;
use crate::fleet::Managed;

/// So many days before the end, of a life of [this many](LIFE).
const DAYS: [u8; 4] = [30, 14, 7, 1];
const LIFE: i32 = 90;

/// How close its end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// So many days are left, or as many ninetieths of its life.
    Left(u8),
    /// None is.
    Over,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Left(DAYS[0]),
        Self::Left(DAYS[1]),
        Self::Left(DAYS[2]),
        Self::Left(DAYS[3]),
        Self::Over,
    ];

    /// What it is called in a notice's id.
    pub fn name(self) -> String {
        match self {
            Self::Left(days) => days.to_string(),
            Self::Over => "over".to_owned(),
        }
    }

    /// When it begins. What goes well is renewed when a third of its life is left, which is when the first stage would begin: that
    /// one waits for one more ninetieth.
    fn begins(self, not_before: Timestamp, not_after: Timestamp) -> Timestamp {
        let ninetieth = ((not_after - not_before) / LIFE).min(Duration::DAY);
        match self {
            Self::Left(days) if days == DAYS[0] => not_after - ninetieth * i32::from(days - 1),
            Self::Left(days) => not_after - ninetieth * i32::from(days),
            Self::Over => not_after,
        }
    }
}

/// When somebody is told first of a certificate with this life, if it is not renewed.
pub fn first_notice(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    Stage::ALL[0].begins(not_before, not_after)
}

impl Managed {
    /// The stage that its current certificate has come to without anybody having been told, and the certificate after they were.
    /// Of several that have begun meanwhile, the last counts.
    pub fn to_be_told(&self, now: Timestamp) -> Option<(Stage, Self)> {
        let current = self.current.as_ref()?;
        self.notice_at.filter(|at| *at <= now)?;
        let begins = |stage: &Stage| stage.begins(current.not_before, current.not_after);
        let stage = *Stage::ALL.iter().rev().find(|stage| begins(stage) <= now)?;
        let next = Stage::ALL.iter().map(begins).find(|at| *at > now);
        let told = Self {
            notice_at: next,
            ..self.clone()
        };
        Some((stage, told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, SystemRng};
    use crate::fleet::Current;
    use crate::ids::{ManagedId, VersionId};

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn with_life(life: Duration) -> Managed {
        let id = ManagedId::generate(&SystemClock, &mut SystemRng);
        let names = vec!["a.example.org".parse().unwrap()];
        let current = Current {
            version: VersionId::generate(&SystemClock, &mut SystemRng),
            upstream: "ca".parse().unwrap(),
            cert_id: None,
            serial: "01".to_owned(),
            names: names.clone(),
            not_before: START,
            not_after: START + life,
            advice: None,
            ask_at: START,
        };
        Managed {
            notice_at: Some(first_notice(START, START + life)),
            current: Some(current),
            ..Managed::new(id, names, vec!["ca".parse().unwrap()], START)
        }
    }

    /// All that is told of one that nobody renews, by somebody who looks every `every`.
    fn told(life: Duration, every: Duration) -> Vec<(Duration, Stage)> {
        let mut managed = with_life(life);
        let mut all = Vec::new();
        let mut now = START;
        while now < START + life * 2 {
            if let Some((stage, after)) = managed.to_be_told(now) {
                all.push((START + life - now, stage));
                managed = after;
            }
            now += every;
        }
        all
    }

    #[test]
    fn each_stage_is_told_once_in_days_or_in_parts_of_a_short_life() {
        let stages: Vec<Stage> = Stage::ALL.to_vec();
        let long = told(Duration::days(365), Duration::hours(1));
        assert_eq!(of_stage(&long), stages);
        let days: Vec<i64> = long.iter().map(|(left, _)| left.whole_days()).collect();
        assert_eq!(days, [29, 14, 7, 1, 0]);
        let short = told(Duration::days(6), Duration::minutes(1));
        assert_eq!(of_stage(&short), stages);
        let hours: Vec<i64> = short.iter().map(|(left, _)| left.whole_hours()).collect();
        assert_eq!(hours, [46, 22, 11, 1, 0]);
    }

    #[test]
    fn what_is_renewed_in_time_is_told_of_to_nobody() {
        for life in [6, 47, 90, 365].map(Duration::days) {
            let managed = with_life(life);
            // A third of its life is left: it is due.
            assert!(managed.to_be_told(START + life * 2 / 3).is_none(), "{life}");
        }
    }

    #[test]
    fn of_what_was_missed_the_last_is_told() {
        let told = told(Duration::days(90), Duration::days(80));
        assert_eq!(of_stage(&told), [Stage::Left(14), Stage::Over]);
    }

    fn of_stage(told: &[(Duration, Stage)]) -> Vec<Stage> {
        told.iter().map(|(_, stage)| *stage).collect()
    }
}
