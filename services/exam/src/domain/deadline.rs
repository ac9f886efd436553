//! When an attempt ends. This is the one place that knows.

use time::{Duration, OffsetDateTime};

/// The times of an exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub time_limit_seconds: Option<i32>,
    pub closes_at: Option<OffsetDateTime>,
    /// `closes_at` ends attempts too, not only their beginning.
    pub hard_end: bool,
}

/// More time for one student.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accommodation {
    pub extra_seconds: i32,
    pub extra_percent: i32,
}

/// `min(start + limit x accommodation, hard end)`; without a limit the exam's end, and `None` without either.
pub fn deadline(
    started_at: OffsetDateTime,
    timing: &Timing,
    accommodation: Accommodation,
) -> Option<OffsetDateTime> {
    let extra = Duration::seconds(accommodation.extra_seconds.into());
    let Some(limit) = timing.time_limit_seconds else {
        return timing
            .closes_at
            .map(|end| if timing.hard_end { end } else { end + extra });
    };
    let stretched = i64::from(limit) * (100 + i64::from(accommodation.extra_percent)) / 100;
    let by_limit = started_at + Duration::seconds(stretched) + extra;
    Some(match timing.closes_at {
        Some(end) if timing.hard_end => by_limit.min(end),
        _ => by_limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    proptest! {
        #[test]
        fn more_time_is_never_less_and_a_hard_end_is_hard(
            limit in prop::option::of(1..100_000_i32), end in prop::option::of(0..100_000_i64), hard_end in any::<bool>(),
            seconds in 0..10_000_i32, percent in 0..300_i32,
        ) {
            let timing = Timing { time_limit_seconds: limit, closes_at: end.map(|end| START + Duration::seconds(end)), hard_end };
            let plain = deadline(START, &timing, Accommodation::default());
            let extended = deadline(START, &timing, Accommodation { extra_seconds: seconds, extra_percent: percent });
            prop_assert_eq!(plain.is_some(), limit.is_some() || end.is_some());
            prop_assert!(extended >= plain);
            if let (Some(end), true) = (timing.closes_at, hard_end) {
                prop_assert!(extended.unwrap() <= end);
            }
        }
    }

    #[test]
    fn an_hour_and_a_half_for_those_with_half_more() {
        let timing = Timing {
            time_limit_seconds: Some(3_600),
            closes_at: None,
            hard_end: false,
        };
        let more = Accommodation {
            extra_seconds: 60,
            extra_percent: 50,
        };
        assert_eq!(
            deadline(START, &timing, more),
            Some(START + Duration::seconds(5_460))
        );
    }
}
