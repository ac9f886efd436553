//! When something may go: the user's day, with its time zone.

use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};
use time::OffsetDateTime;

/// The school's own.
const DEFAULT_ZONE: &str = "Europe/Istanbul";
/// When summaries are sent.
const DIGEST_TIME: Time = time(8, 0, 0, 0);
const DIGEST_DAY: Weekday = Weekday::Monday;

/// A time zone by its IANA name.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The school's zone for a name that is not known.
    pub fn named(name: &str) -> Self {
        Self(
            TimeZone::get(name)
                .or_else(|_| TimeZone::get(DEFAULT_ZONE))
                .unwrap_or(TimeZone::UTC),
        )
    }

    fn local(&self, at: OffsetDateTime) -> Option<Zoned> {
        let at = Timestamp::from_nanosecond(at.unix_timestamp_nanos()).ok()?;
        Some(at.to_zoned(self.0.clone()))
    }

    /// When clocks show `time` on `date` after `after`; where they jump over it, the moment of the jump.
    fn moment(&self, date: Date, time: Time, after: Timestamp) -> Option<Timestamp> {
        let shown = || self.0.to_ambiguous_timestamp(date.to_datetime(time));
        let first = shown().compatible().ok()?;
        let moments = match shown().offset() {
            AmbiguousOffset::Unambiguous { .. } => [Some(first), None],
            AmbiguousOffset::Gap { .. } => {
                let jump = self.0.preceding(first.checked_add(1.second()).ok()?).next();
                [jump.map(|jump| jump.timestamp()), None]
            }
            // Twice.
            AmbiguousOffset::Fold { .. } => [Some(first), shown().later().ok()],
        };
        moments.into_iter().flatten().find(|moment| *moment > after)
    }
}

fn at(moment: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(moment.as_nanosecond()).ok()
}

/// From one minute of the day to another, maybe over midnight; never the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: i16,
    to: i16,
}

impl QuietHours {
    /// Minutes of the day. `None` for what is no time of day, and for two equal ones.
    pub fn new(from: i16, to: i16) -> Option<Self> {
        let day = 0..24 * 60;
        (day.contains(&from) && day.contains(&to) && from != to).then_some(Self { from, to })
    }

    /// Of two times such as `22:00`.
    pub fn parse(from: &str, to: &str) -> Option<Self> {
        Self::new(minutes(from)?, minutes(to)?)
    }

    pub fn minutes(self) -> (i16, i16) {
        (self.from, self.to)
    }

    /// As `parse` reads them.
    pub fn texts(self) -> (String, String) {
        let text = |minutes: i16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        (text(self.from), text(self.to))
    }

    fn contain(self, minute: i16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }

    /// `now`, or the end of the quiet hours that it is in.
    pub fn next_loud(self, zone: &Zone, now: OffsetDateTime) -> OffsetDateTime {
        let Some(end) = self.end(zone, now) else {
            return now;
        };
        // Where clocks jump over all of the loud time, it is quiet on.
        self.end(zone, end).unwrap_or(end)
    }

    fn end(self, zone: &Zone, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let local = zone.local(now)?;
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        if !self.contain(minute) {
            return None;
        }
        let to = Time::new((self.to / 60) as i8, (self.to % 60) as i8, 0, 0).ok()?;
        let days = [local.date(), local.date().tomorrow().ok()?];
        at(days
            .into_iter()
            .find_map(|day| zone.moment(day, to, local.timestamp()))?)
    }
}

fn minutes(text: &str) -> Option<i16> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (i16, i16) = (hour.parse().ok()?, minute.parse().ok()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 60 + minute)
}

/// When the next summary of the day, or of the week, is due: always after `now`.
pub fn next_digest(is_weekly: bool, zone: &Zone, now: OffsetDateTime) -> OffsetDateTime {
    find_digest(is_weekly, zone, now).unwrap_or(now + time::Duration::days(1))
}

fn find_digest(is_weekly: bool, zone: &Zone, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let today = zone.local(now)?;
    let days = today.date().series(1.day()).take(9);
    days.filter(|date| !is_weekly || date.weekday() == DIGEST_DAY)
        .find_map(|date| zone.moment(date, DIGEST_TIME, today.timestamp()))
        .and_then(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;

    const ZONES: [&str; 6] = [
        "Europe/Istanbul",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Asia/Kathmandu",
    ];

    fn wall(zone: &Zone, at: OffsetDateTime) -> i16 {
        let local = zone.local(at).unwrap();
        i16::from(local.hour()) * 60 + i16::from(local.minute())
    }

    fn utc(text: &str) -> OffsetDateTime {
        let moment: Timestamp = text.parse().unwrap();
        at(moment).unwrap()
    }

    /// Days on which clocks change somewhere, and the others.
    fn moments() -> impl Strategy<Value = OffsetDateTime> {
        let changes = [
            "2026-03-29T01:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-03-08T07:00:00Z",
            "2026-11-01T06:00:00Z",
            "2026-04-04T15:00:00Z",
            "2026-10-03T15:30:00Z",
            "2026-04-05T03:00:00Z",
            "2026-09-06T04:00:00Z",
        ];
        let near = (0..changes.len(), -90_000_i64..90_000)
            .prop_map(move |(change, seconds)| utc(changes[change]) + Duration::seconds(seconds));
        let any = (1_700_000_000_i64..1_900_000_000)
            .prop_map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap());
        prop_oneof![near, any]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn quiet_hours_end_when_clocks_first_show_their_end_or_jump_over_it(
            now in moments(), zone in 0..ZONES.len(), from in 0_i16..1_440, to in 0_i16..1_440,
        ) {
            prop_assume!(from != to);
            let (zone, quiet) = (Zone::named(ZONES[zone]), QuietHours::new(from, to).unwrap());
            let loud = quiet.next_loud(&zone, now);
            if !quiet.contain(wall(&zone, now)) {
                prop_assert_eq!(loud, now);
                return Ok(());
            }
            prop_assert!(!quiet.contain(wall(&zone, loud)), "{now} -> {loud}");
            prop_assert!(loud > now && loud - now <= Duration::hours(49), "{now} -> {loud}");
            // Minute by minute: neither their end nor a jump over it was passed.
            let mut minute = now - Duration::seconds(now.unix_timestamp() % 60);
            let mut before = wall(&zone, minute);
            while minute < loud {
                let shown = wall(&zone, minute);
                prop_assert!(shown != to, "{now} -> {loud}, but {minute} shows the end");
                let jumped = (shown - before).rem_euclid(1_440);
                let is_over = (to - before).rem_euclid(1_440) <= jumped && jumped < 120 && !quiet.contain(shown);
                prop_assert!(minute <= now || before == to || !is_over, "{now} -> {loud}, jumped at {minute}");
                before = shown;
                minute += Duration::minutes(1);
            }
        }

        #[test]
        fn a_digest_is_due_at_eight_and_soon(now in moments(), zone in 0..ZONES.len(), is_weekly: bool) {
            let zone = Zone::named(ZONES[zone]);
            let due = next_digest(is_weekly, &zone, now);
            let days = if is_weekly { 7 } else { 1 };
            prop_assert!(due > now && due - now <= Duration::days(days) + Duration::hours(1));
            let local = zone.local(due).unwrap();
            prop_assert_eq!(local.time(), DIGEST_TIME);
            prop_assert!(!is_weekly || local.weekday() == Weekday::Monday);
        }
    }

    #[test]
    fn the_nights_on_which_clocks_change() {
        let berlin = Zone::named("Europe/Berlin");
        let night = QuietHours::parse("22:00", "02:30").unwrap();
        // 02:30 does not exist: clocks jump from 02:00 to 03:00 at 01:00 UTC.
        let spring = night.next_loud(&berlin, utc("2026-03-28T23:00:00Z"));
        assert_eq!(spring, utc("2026-03-29T01:00:00Z"));
        // 02:30 comes twice: at 00:30 and at 01:30 UTC.
        assert_eq!(
            night.next_loud(&berlin, utc("2026-10-25T00:10:00Z")),
            utc("2026-10-25T00:30:00Z")
        );
        assert_eq!(
            night.next_loud(&berlin, utc("2026-10-25T01:10:00Z")),
            utc("2026-10-25T01:30:00Z")
        );
    }

    #[test]
    fn an_unknown_zone_is_the_schools() {
        assert_eq!(
            wall(&Zone::named("Mars/Olympus_Mons"), utc("2027-01-15T08:00:00Z")),
            11 * 60
        );
    }
}
