//! When a job is due: a cron expression in a time zone.
//!
//! A clock that is put forward does not take a daily job away (it runs when the gap is over), and one that is put back does not
//! run it twice; a job that repeats within the hour runs through both.

use std::str::FromStr;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use time::OffsetDateTime;

/// An expression or a zone that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct InvalidSchedule {
    what: String,
    why: String,
}

impl InvalidSchedule {
    fn new(what: &str, why: &impl ToString) -> Self {
        Self {
            what: what.to_owned(),
            why: why.to_string(),
        }
    }
}

/// Due times without end.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: TimeZone,
    zone_name: String,
}

/// Counting further than this tells nobody more.
const MOST_SKIPPED: i32 = 100_000;

impl Schedule {
    /// Five fields (minute, hour, day, month, weekday), or six with seconds first.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, InvalidSchedule> {
        let parsed = Cron::from_str(cron).map_err(|fault| InvalidSchedule::new(cron, &fault))?;
        let schedule = Self {
            text: cron.to_owned(),
            cron: parsed,
            zone: TimeZone::get(zone).map_err(|fault| InvalidSchedule::new(zone, &fault))?,
            zone_name: zone.to_owned(),
        };
        // February 30 is well-formed and never comes.
        schedule.next_after(OffsetDateTime::UNIX_EPOCH)?;
        Ok(schedule)
    }

    pub fn cron(&self) -> &str {
        &self.text
    }

    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The first due time after this moment.
    pub fn next_after(&self, moment: OffsetDateTime) -> Result<OffsetDateTime, InvalidSchedule> {
        let next = self
            .cron
            .find_next_occurrence(&self.local(moment)?, false)
            .map_err(|fault| InvalidSchedule::new(&self.text, &fault))?;
        self.global(&next)
    }

    /// The latest due time from `first` to `now`, and how many before it there were.
    pub fn latest(
        &self,
        first: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(OffsetDateTime, i32), InvalidSchedule> {
        let (mut latest, mut skipped) = (first, 0);
        while skipped < MOST_SKIPPED {
            let next = self.next_after(latest)?;
            if next > now {
                return Ok((latest, skipped));
            }
            latest = next;
            skipped += 1;
        }
        let latest = self
            .cron
            .find_previous_occurrence(&self.local(now)?, true)
            .map_err(|fault| InvalidSchedule::new(&self.text, &fault))?;
        Ok((self.global(&latest)?, skipped))
    }

    fn local(&self, moment: OffsetDateTime) -> Result<Zoned, InvalidSchedule> {
        let timestamp = Timestamp::from_nanosecond(moment.unix_timestamp_nanos())
            .map_err(|fault| InvalidSchedule::new(&self.text, &fault))?;
        Ok(timestamp.to_zoned(self.zone.clone()))
    }

    fn global(&self, local: &Zoned) -> Result<OffsetDateTime, InvalidSchedule> {
        OffsetDateTime::from_unix_timestamp(local.timestamp().as_second())
            .map_err(|fault| InvalidSchedule::new(&self.text, &fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;
    use time::format_description::well_known::Rfc3339;

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    fn due(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(cron, zone).unwrap();
        let first = at(from);
        std::iter::successors(Some(first), |last| Some(schedule.next_after(*last).unwrap()))
            .skip(1)
            .take(count)
            .map(|moment| moment.format(&Rfc3339).unwrap())
            .collect()
    }

    #[test]
    fn istanbul_is_three_hours_ahead_all_year() {
        let reports = due("0 2 * * *", "Europe/Istanbul", "2026-12-31T23:30:00Z", 1);
        assert_eq!(reports, ["2027-01-01T23:00:00Z"]);
        let reports = due("0 2 * * *", "Europe/Istanbul", "2027-06-30T22:00:00Z", 1);
        assert_eq!(reports, ["2027-06-30T23:00:00Z"]);
    }

    #[test]
    fn a_daily_job_runs_once_on_the_days_that_have_a_gap_or_an_overlap() {
        // 2027-03-28: from 02:00 +01:00 to 03:00 +02:00.
        let forward = due("30 2 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z", 3);
        assert_eq!(
            forward,
            [
                "2027-03-27T01:30:00Z",
                "2027-03-28T01:00:00Z",
                "2027-03-29T00:30:00Z"
            ]
        );
        // 2027-10-31: 02:30 comes twice.
        let back = due("30 2 * * *", "Europe/Berlin", "2027-10-30T00:00:00Z", 3);
        assert_eq!(
            back,
            [
                "2027-10-30T00:30:00Z",
                "2027-10-31T00:30:00Z",
                "2027-11-01T01:30:00Z"
            ]
        );
    }

    #[test]
    fn a_job_of_every_half_hour_keeps_its_pace_through_both() {
        let forward = due("*/30 * * * *", "Europe/Berlin", "2027-03-28T00:30:00Z", 3);
        assert_eq!(
            forward,
            [
                "2027-03-28T01:00:00Z",
                "2027-03-28T01:30:00Z",
                "2027-03-28T02:00:00Z"
            ]
        );
        let back = due("*/30 * * * *", "Europe/Berlin", "2027-10-30T23:30:00Z", 5);
        assert_eq!(
            back,
            [
                "2027-10-31T00:00:00Z",
                "2027-10-31T00:30:00Z",
                "2027-10-31T01:00:00Z",
                "2027-10-31T01:30:00Z",
                "2027-10-31T02:00:00Z"
            ]
        );
    }

    #[test]
    fn what_is_never_due_or_nowhere_is_refused() {
        for (cron, zone) in [
            ("0 0 30 2 *", "Europe/Istanbul"),
            ("61 * * * *", "Europe/Istanbul"),
            ("", "Europe/Istanbul"),
            ("0 2 * * *", "Europe/Atlantis"),
        ] {
            assert!(Schedule::parse(cron, zone).is_err(), "{cron} {zone}");
        }
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        let cron = prop_oneof![
            (0..60u32).prop_map(|minute| format!("{minute} * * * *")),
            (1..30u32).prop_map(|step| format!("*/{step} * * * *")),
            (0..60u32, 0..24u32).prop_map(|(minute, hour)| format!("{minute} {hour} * * *")),
            (0..60u32, 0..24u32, 0..7u32)
                .prop_map(|(minute, hour, day)| format!("{minute} {hour} * * {day}")),
            (1..60u32).prop_map(|step| format!("*/{step} * * * * *")),
        ];
        let zone = prop_oneof![
            Just("Europe/Istanbul"),
            Just("Europe/Berlin"),
            Just("America/New_York")
        ];
        (cron, zone).prop_map(|(cron, zone)| Schedule::parse(&cron, zone).unwrap())
    }

    /// Moments near the changes of the clocks in Berlin and New York, and anywhere.
    fn moments() -> impl Strategy<Value = OffsetDateTime> {
        let near = prop_oneof![
            Just("2027-03-28T01:00:00Z"),
            Just("2027-10-31T01:00:00Z"),
            Just("2027-03-14T07:00:00Z"),
            Just("2027-11-07T06:00:00Z")
        ];
        prop_oneof![
            (near, -20_000i64..20_000, 0..1_000_000i64).prop_map(|(change, seconds, micros)| {
                at(change) + Duration::seconds(seconds) + Duration::microseconds(micros)
            }),
            (1_700_000_000i64..2_000_000_000)
                .prop_map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn the_next_due_time_is_later_and_the_earliest(schedule in schedules(), a in moments(), b in moments()) {
            let (a, b) = (a.min(b), a.max(b));
            let (after_a, after_b) = (schedule.next_after(a).unwrap(), schedule.next_after(b).unwrap());
            prop_assert!(after_a > a);
            prop_assert!(after_a <= after_b, "a later moment has no earlier due time");
            // Between a moment and its next due time there is no other.
            let between = a + (after_a - a) / 2;
            if between < after_a {
                prop_assert_eq!(schedule.next_after(between).unwrap(), after_a);
            }
        }

        #[test]
        fn the_latest_due_time_is_the_last_that_is_not_in_the_future(
            schedule in schedules(), start in moments(), seconds in 0i64..10_000,
        ) {
            let first = schedule.next_after(start).unwrap();
            let now = first + Duration::seconds(seconds);
            let (latest, skipped) = schedule.latest(first, now).unwrap();
            prop_assert!(latest <= now && schedule.next_after(latest).unwrap() > now);
            prop_assert_eq!(skipped == 0, latest == first);
        }
    }
}
