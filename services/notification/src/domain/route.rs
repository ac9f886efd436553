//! Whether and when a mail goes.

use time::OffsetDateTime;

use super::message::{MailKind, Priority};
use super::preference::{Channel, Frequency, Preferences};
use super::schedule::{Zone, next_digest};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The user wants none.
    Nothing,
    /// A mail of its own, not before that moment.
    At(OffsetDateTime),
    /// In the summary of that moment.
    Digest(OffsetDateTime),
}

/// The way of a mail, apart from the hourly cap. What somebody waits for goes at once, whatever was chosen.
pub fn route(kind: MailKind, preferences: &Preferences, zone: &Zone, now: OffsetDateTime) -> Route {
    if kind.priority() == Priority::High {
        return Route::At(now);
    }
    let loud = || preferences.quiet.map_or(now, |quiet| quiet.next_loud(zone, now));
    let Some(category) = kind.category() else {
        return Route::At(loud());
    };
    match preferences.frequency(category, Channel::Email) {
        Frequency::Off => Route::Nothing,
        Frequency::Daily => Route::Digest(next_digest(false, zone, now)),
        Frequency::Weekly => Route::Digest(next_digest(true, zone, now)),
        Frequency::Now => Route::At(loud()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::preference::Category;
    use crate::domain::schedule::QuietHours;

    #[test]
    fn quiet_hours_hold_back_what_can_wait_alone() {
        // 23:00 in Istanbul.
        let now = OffsetDateTime::from_unix_timestamp(1_800_043_200).unwrap();
        let zone = Zone::named("Europe/Istanbul");
        let mut preferences = Preferences::default().with_quiet(QuietHours::parse("22:00", "07:00"));
        let morning = Route::At(now + time::Duration::hours(8));
        for kind in MailKind::ALL {
            let expected = match kind {
                _ if kind.priority() == Priority::High => Route::At(now),
                // Unless it is wanted at once.
                MailKind::WeeklySummary => Route::Digest(next_digest(true, &zone, now)),
                _ => morning,
            };
            assert_eq!(route(kind, &preferences, &zone, now), expected, "{kind:?}");
        }
        preferences
            .choose(Category::Courses, Channel::Email, Frequency::Off)
            .unwrap();
        assert_eq!(
            route(MailKind::EnrollmentCreated, &preferences, &zone, now),
            Route::Nothing
        );
        assert_eq!(route(MailKind::Announcement, &preferences, &zone, now), morning);
    }
}
