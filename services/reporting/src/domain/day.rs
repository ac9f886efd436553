//! Days of the school, which are those of Istanbul.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use problem::Problem;
use time::macros::format_description;
use time::{Date, Duration, Month, OffsetDateTime};

const ZONE: &str = "Europe/Istanbul";
/// No school has days before.
const FIRST_YEAR: i32 = 2000;
/// Most days that one question is about.
const MAX_DAYS: i64 = 366;
/// Days of a range that does not say where it begins.
const USUAL_DAYS: i64 = 30;

/// The day that it is.
pub fn today(now: OffsetDateTime) -> Date {
    let zone = TimeZone::get(ZONE).unwrap_or(TimeZone::UTC);
    let local = Timestamp::from_second(now.unix_timestamp()).map(|at| at.to_zoned(zone).date());
    let day = local.ok().and_then(|date| {
        let month = Month::try_from(date.month().unsigned_abs()).ok()?;
        Date::from_calendar_date(date.year().into(), month, date.day().unsigned_abs()).ok()
    });
    day.unwrap_or_else(|| now.date())
}

pub fn parse(field: &'static str, text: &str) -> Result<Date, Problem> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    day.ok()
        .filter(|day| day.year() >= FIRST_YEAR)
        .ok_or_else(|| Problem::invalid_field(field, "date", "has to be a day such as 2027-01-15"))
}

pub fn text(day: Date) -> String {
    let format = format_description!("[year]-[month]-[day]");
    day.format(&format).unwrap_or_default()
}

/// The days that are asked for, both included; those that have not come yet are cut off.
pub fn range(from: Option<&str>, to: Option<&str>, today: Date) -> Result<(Date, Date), Problem> {
    let last = to.map_or(Ok(today), |text| parse("to", text))?.min(today);
    let usual = last - Duration::days(USUAL_DAYS - 1);
    let first = from.map_or(Ok(usual), |text| parse("from", text))?;
    if first > last {
        return Err(Problem::invalid_field(
            "from",
            "range",
            "has to be before the end, and not in the future",
        ));
    }
    if (last - first).whole_days() >= MAX_DAYS {
        return Err(Problem::invalid_field("from", "range", "is more than 366 days"));
    }
    Ok((first, last))
}

/// Monday and Sunday of the week before the one that a day is in.
pub fn week_before(day: Date) -> (Date, Date) {
    let monday = day - Duration::days(i64::from(day.weekday().number_days_from_monday()));
    (monday - Duration::days(7), monday - Duration::days(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_istanbul() {
        assert_eq!(today(datetime!(2027-01-15 20:59:59 UTC)), date!(2027 - 01 - 15));
        assert_eq!(today(datetime!(2027-01-15 21:00:00 UTC)), date!(2027 - 01 - 16));
        assert_eq!(text(parse("date", "2027-01-05").unwrap()), "2027-01-05");
        assert!(parse("date", "2027-02-30").is_err() && parse("date", "15.01.2027").is_err());
        for text in ["-999-01-01", "0001-01-01", "1999-12-31"] {
            assert!(parse("date", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_is_of_days_that_were() {
        let today = date!(2027 - 01 - 15);
        assert_eq!(range(None, None, today).unwrap(), (date!(2026 - 12 - 17), today));
        assert_eq!(
            range(Some("2027-01-10"), Some("2027-03-01"), today).unwrap(),
            (date!(2027 - 01 - 10), today)
        );
        assert!(range(Some("2027-01-16"), None, today).is_err());
        assert!(range(Some("2026-01-15"), None, today).is_ok());
        assert!(range(Some("2026-01-14"), None, today).is_err());
    }

    proptest! {
        #[test]
        fn the_week_before_is_seven_days_that_are_over(days in 0i64..20_000) {
            let day = date!(2000 - 01 - 01) + Duration::days(days);
            let (monday, sunday) = week_before(day);
            prop_assert_eq!(monday.weekday(), time::Weekday::Monday);
            prop_assert_eq!(sunday - monday, Duration::days(6));
            prop_assert!(sunday < day && day - sunday <= Duration::days(7));
        }
    }
}
