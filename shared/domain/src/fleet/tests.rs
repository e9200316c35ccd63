//! The brain through simulated years: an authority that works, that fails for days, that changes its mind.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use time::Duration;

use super::*;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::ids::ManagedId;
use crate::renewal::renewal_due;

const YEAR: Duration = Duration::days(365);

fn names(text: &[&str]) -> Vec<Identifier> {
    text.iter().map(|name| name.parse().unwrap()).collect()
}

fn upstream(name: &str) -> UpstreamName {
    name.parse().unwrap()
}

fn managed(clock: &dyn Clock, rng: &mut StdRng) -> Managed {
    Managed::new(
        ManagedId::generate(clock, rng),
        names(&["a.example.org"]),
        vec![upstream("first"), upstream("second")],
        clock.now(),
    )
}

/// How an authority is, in a simulation.
#[derive(Debug, Clone, Copy)]
struct World {
    lifetime: Duration,
    /// Of a hundred attempts, so many fail.
    failing: u32,
    /// It is away in each year from this day on, for this long.
    away: (i64, i64),
    /// Whether it gives advice.
    advises: bool,
}

impl World {
    fn is_away(&self, since: Duration) -> bool {
        let day = since.whole_days() % 365;
        (self.away.0..self.away.0 + self.away.1).contains(&day)
    }
}

/// What came of some years.
#[derive(Debug, Default)]
struct Tally {
    orders: u32,
    certificates: u32,
    failures: u32,
    looks: u32,
    /// For how long there was no valid certificate, after the first.
    gap: Duration,
    /// The least time that was left of a certificate when it was replaced.
    least_left: Option<Duration>,
}

/// Carries out what the brain says, as a worker does, for so long.
fn live(world: World, years: i32, seed: u64) -> Tally {
    let mut rng = StdRng::seed_from_u64(seed);
    let start = SystemClock.now();
    let clock = ManualClock::at(start);
    let mut managed = managed(&clock, &mut rng);
    let mut tally = Tally::default();
    let end = start + YEAR * years;
    while clock.now() < end {
        let now = clock.now();
        tally.looks += 1;
        managed = match managed.next(now) {
            Next::Rest(until) => {
                assert!(until > now, "it rests until now: nobody would ever get on");
                // A worker is late by up to a minute.
                let late = Duration::seconds(rng.random_range(0..60));
                clock.advance(until - now + late);
                managed.rest(now)
            }
            Next::Ask => {
                let current = managed.current.as_ref().unwrap();
                let window = RenewalWindow::of_validity(current.not_before, current.not_after);
                if world.is_away(now - start) {
                    managed.not_advised(now)
                } else {
                    let advice = world.advises.then(|| Advice {
                        window,
                        moment: window.draw(&mut rng),
                        explanation_url: None,
                    });
                    managed.advised(advice, Some(Duration::hours(6)), now)
                }
            }
            Next::Begin(reason) => {
                let chosen = managed.choose(now).unwrap().clone();
                let version = VersionId::generate(&clock, &mut rng);
                managed.begin(reason, chosen, version, now).unwrap()
            }
            Next::Place => {
                let chosen = managed.course.attempt().unwrap().upstream.clone();
                let fails = world.is_away(now - start) && chosen == upstream("first")
                    || rng.random_range(0..100) < world.failing;
                if fails {
                    tally.failures += 1;
                    managed.failed("away".to_owned(), None, now).unwrap()
                } else {
                    tally.orders += 1;
                    managed
                        .placed("https://ca.example/order".to_owned())
                        .unwrap()
                }
            }
            Next::Pursue => {
                if let Some(current) = &managed.current {
                    let left = current.not_after - now;
                    tally.gap += (-left).max(Duration::ZERO);
                    tally.least_left = Some(tally.least_left.map_or(left, |least| least.min(left)));
                }
                tally.certificates += 1;
                let attempt = managed.course.attempt().unwrap().clone();
                let current = Current {
                    version: attempt.version,
                    upstream: attempt.upstream,
                    cert_id: Some("id".to_owned()),
                    serial: "01".to_owned(),
                    names: managed.names.clone(),
                    not_before: now - Duration::HOUR,
                    not_after: now - Duration::HOUR + world.lifetime,
                    advice: None,
                    ask_at: now,
                };
                managed.obtained(current, now).unwrap()
            }
        };
    }
    tally
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Ten years of 6, 47 and 90 days, with an authority that fails now and then and is away for days: never without a valid
    /// certificate, never an order too many, and no more looks than there is to see.
    #[test]
    fn a_decade_without_a_gap(
        days in prop_oneof![Just(6_i64), Just(47), Just(90)],
        failing in 0_u32..30,
        away in (0_i64..365, 0_i64..12),
        advises: bool,
        seed: u64,
    ) {
        let world = World { lifetime: Duration::days(days), failing, away, advises };
        let tally = live(world, 10, seed);
        prop_assert_eq!(tally.gap, Duration::ZERO, "{:?}", tally);
        prop_assert_eq!(tally.orders, tally.certificates);
        // Two thirds of a life at the least, or half of a short one, less the width of a window and some lateness.
        let shortest = if days < 10 { days * 44 / 100 } else { days * 60 / 100 };
        let most = 3650 / shortest.max(1) + 2;
        prop_assert!(i64::from(tally.certificates) <= most, "{:?}, {most}", tally);
        // It asks four times a day, and does little else.
        prop_assert!(tally.looks < 10 * 366 * 10, "{:?}", tally);
    }
}

#[test]
fn a_certificate_that_nobody_can_issue_is_tried_daily_for_ever_and_gets_a_person() {
    let world = World {
        lifetime: Duration::days(90),
        failing: 100,
        away: (0, 0),
        advises: false,
    };
    let tally = live(world, 2, 7);
    assert_eq!(tally.certificates, 0);
    assert!((725..740).contains(&tally.failures), "{tally:?}");
    let now = SystemClock.now();
    let mut setback: Option<Setback> = None;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let next = Setback::after(setback.as_ref(), "why".to_owned(), None, None, now);
        waits.push((next.retry_at - now).whole_minutes());
        assert_eq!(next.wants_a_person(), next.failures > 3);
        setback = Some(next);
    }
    assert_eq!(waits, [1, 10, 100, 1440, 1440]);
    let told = Setback::after(None, "429".to_owned(), None, Some(Duration::hours(3)), now);
    assert_eq!(told.retry_at, now + Duration::hours(3));
    // What has four hours left is not left alone for a day; what is expired is.
    let wait_of = |end| {
        Setback::after(setback.as_ref(), "why".to_owned(), Some(end), None, now).retry_at - now
    };
    assert_eq!(wait_of(now + Duration::hours(4)), Duration::HOUR);
    assert_eq!(wait_of(now + Duration::minutes(4)), Duration::minutes(10));
    assert_eq!(wait_of(now - Duration::minutes(4)), Duration::DAY);
}

/// A managed certificate with one of 90 days that began so many days ago.
fn of_age(days: i64, clock: &ManualClock, rng: &mut StdRng) -> Managed {
    let now = clock.now();
    let version = VersionId::generate(clock, rng);
    let placed = managed(clock, rng)
        .begin(Reason::Missing, upstream("first"), version, now)
        .and_then(|managed| managed.placed("https://ca.example/order".to_owned()))
        .unwrap();
    let not_before = now - Duration::days(days);
    let current = Current {
        version,
        upstream: upstream("first"),
        cert_id: Some("id".to_owned()),
        serial: "01".to_owned(),
        names: placed.names.clone(),
        not_before,
        not_after: not_before + Duration::days(90),
        advice: None,
        ask_at: now + Duration::HOUR,
    };
    placed.obtained(current, now).unwrap()
}

#[test]
fn each_reason_is_told_and_the_first_counts() {
    let mut rng = StdRng::seed_from_u64(1);
    let clock = ManualClock::at(SystemClock.now());
    let now = clock.now();
    let reason = |managed: &Managed| Reason::of(managed, now);
    assert_eq!(reason(&managed(&clock, &mut rng)), Some(Reason::Missing));
    let young = of_age(10, &clock, &mut rng);
    assert_eq!(reason(&young), None);
    assert_eq!(young.next_at, now + Duration::HOUR, "it asks then");
    assert_eq!(reason(&of_age(60, &clock, &mut rng)), Some(Reason::Old));
    assert_eq!(reason(&of_age(59, &clock, &mut rng)), None);
    let renamed = young
        .clone()
        .rename(names(&["a.example.org", "b.example.org"]), now);
    assert_eq!(reason(&renamed), Some(Reason::NamesChanged));
    assert_eq!(reason(&young.clone().force(now)), Some(Reason::Forced));
    // Revoked, or to be replaced: the window is over.
    let window = RenewalWindow::over_since(now);
    let advice = Advice {
        window,
        moment: window.draw(&mut rng),
        explanation_url: None,
    };
    let advised = young.advised(Some(advice), None, now);
    assert_eq!(reason(&advised), Some(Reason::Suggested));
    assert_eq!(advised.next(now), Next::Begin(Reason::Suggested));
}

#[test]
fn advice_that_stays_keeps_its_moment_and_advice_to_wait_too_long_is_not_followed() {
    let mut rng = StdRng::seed_from_u64(2);
    let clock = ManualClock::at(SystemClock.now());
    let now = clock.now();
    let young = of_age(10, &clock, &mut rng);
    let current = young.current.clone().unwrap();
    let window = RenewalWindow::of_validity(current.not_before, current.not_after);
    let advice = |window: RenewalWindow, rng: &mut StdRng| Advice {
        window,
        moment: window.draw(rng),
        explanation_url: None,
    };
    let first = young.advised(Some(advice(window, &mut rng)), Some(Duration::ZERO), now);
    let drawn = first.current.clone().unwrap();
    assert_eq!(drawn.ask_at, now + Duration::MINUTE);
    let second = first.advised(
        Some(advice(window, &mut rng)),
        Some(Duration::weeks(9)),
        now,
    );
    let kept = second.current.clone().unwrap();
    assert_eq!(kept.advice, drawn.advice);
    assert_eq!(kept.ask_at, now + Duration::DAY);
    let silent = second.clone().not_advised(now).current.unwrap();
    assert_eq!(silent.advice, kept.advice);
    assert_eq!(silent.ask_at, now + Duration::hours(6));
    // The last hour of its life is too late for an authority's wish.
    let end = current.not_after;
    let late = RenewalWindow::new(end - Duration::HOUR, end).unwrap();
    let third = second.advised(Some(advice(late, &mut rng)), None, now);
    let due = renewal_due(current.not_before, end);
    let last = due + (end - due) / 2;
    assert_eq!(Reason::of(&third, last - Duration::SECOND), None);
    assert_eq!(Reason::of(&third, last), Some(Reason::Old));
}

#[test]
fn the_next_authority_is_asked_only_by_what_would_expire() {
    let mut rng = StdRng::seed_from_u64(3);
    let clock = ManualClock::at(SystemClock.now());
    let now = clock.now();
    let failing = |managed: Managed, failures: u32| Managed {
        setback: Some(Setback {
            failures,
            put_off: 0,
            why: "away".to_owned(),
            retry_at: now,
        }),
        ..managed
    };
    let new = managed(&clock, &mut rng);
    assert_eq!(new.choose(now), Some(&upstream("first")));
    assert_eq!(
        failing(new.clone(), 1).choose(now),
        Some(&upstream("first"))
    );
    assert_eq!(
        failing(new.clone(), 3).choose(now),
        Some(&upstream("second"))
    );
    assert_eq!(
        failing(new, 4).choose(now),
        Some(&upstream("first")),
        "in turn"
    );
    let old = of_age(61, &clock, &mut rng);
    assert_eq!(
        failing(old, 5).choose(now),
        Some(&upstream("first")),
        "there is time"
    );
    let pressed = of_age(80, &clock, &mut rng);
    assert_eq!(failing(pressed, 5).choose(now), Some(&upstream("second")));
}

#[test]
fn no_step_is_taken_twice_or_out_of_turn() {
    let mut rng = StdRng::seed_from_u64(4);
    let clock = ManualClock::at(SystemClock.now());
    let now = clock.now();
    let version = VersionId::generate(&clock, &mut rng);
    let new = managed(&clock, &mut rng);
    let order = || "https://ca.example/order".to_owned();
    assert!(new.clone().placed(order()).is_err());
    assert!(new.clone().failed("why".to_owned(), None, now).is_err());
    let begun = new
        .begin(Reason::Missing, upstream("first"), version, now)
        .unwrap();
    assert_eq!(begun.next(now), Next::Place);
    let again = begun.clone();
    assert!(
        again
            .begin(Reason::Old, upstream("first"), version, now)
            .is_err()
    );
    // Nothing is replaced by the first.
    assert!(begun.clone().place_plainly().is_err());
    let placed = begun.placed(order()).unwrap();
    assert_eq!(placed.next(now), Next::Pursue);
    assert!(placed.clone().placed(order()).is_err());
    let round = placed.round;
    let failed = placed.failed("no".to_owned(), None, now).unwrap();
    assert_eq!((failed.round, failed.course.name()), (round + 1, "resting"));
    assert_eq!(failed.next(now), Next::Rest(now + Duration::MINUTE));
    // What is given up is tried again as what has failed, whatever was under way.
    let given_up = failed.clone().given_up("many attempts".to_owned(), now);
    assert_eq!(given_up.next(now), Next::Rest(now + Duration::minutes(10)));
    assert_eq!((given_up.round, given_up.spare), (round + 2, Some(version)));
    // A person need not wait.
    assert_eq!(failed.force(now).next(now), Next::Begin(Reason::Missing));
}

#[test]
fn what_is_put_off_has_not_failed_and_goes_elsewhere_only_if_it_would_expire() {
    let mut rng = StdRng::seed_from_u64(5);
    let clock = ManualClock::at(SystemClock.now());
    let now = clock.now();
    let wait = Duration::hours(2);
    let put_off = |managed: Managed, rng: &mut StdRng| {
        let version = VersionId::generate(&clock, rng);
        let chosen = managed.choose(now).unwrap().clone();
        managed
            .begin(Reason::Old, chosen, version, now)
            .and_then(|managed| managed.put_off("too many".to_owned(), wait, now))
            .unwrap()
    };
    let old = put_off(of_age(61, &clock, &mut rng), &mut rng);
    assert_eq!(old.next(now), Next::Rest(now + wait));
    assert_eq!(old.setback.as_ref().unwrap().failures, 0);
    assert_eq!(old.choose(now), Some(&upstream("first")));
    // The key that was made for it is not made again.
    assert!(old.spare.is_some());
    let pressed = put_off(of_age(80, &clock, &mut rng), &mut rng);
    assert_eq!(pressed.choose(now), Some(&upstream("second")));
    let spare = pressed.spare.unwrap();
    let again = pressed
        .begin(Reason::Old, upstream("second"), spare, now)
        .unwrap();
    assert_eq!(again.spare, None);
    // An order that is placed is not put off.
    let placed = again.placed("https://ca.example/order".to_owned()).unwrap();
    assert!(placed.put_off("too many".to_owned(), wait, now).is_err());
}
