//! Between the contracts and the use cases.

pub use contracts::fields::id;
use contracts::notification::v1::{
    Announcement, Notification, Preference, Preferences, PutPreferencesRequest,
};
use contracts::timestamp;
use problem::Problem;

use crate::domain::preference::Preferences as Chosen;
use crate::domain::schedule::QuietHours;
use crate::storage::announcements::Announcement as StoredAnnouncement;
use crate::storage::notifications::{NewNotification, Notification as Stored};
use crate::usecases::preferences::choices;

/// The preferences that a request asks for.
pub fn wanted(request: &PutPreferencesRequest) -> Result<Chosen, Problem> {
    let cells = request.preferences.iter();
    let chosen = choices(cells.map(|one| {
        (
            one.category.as_str(),
            one.channel.as_str(),
            one.frequency.as_str(),
        )
    }))?;
    let quiet = match (&request.quiet_from, &request.quiet_to) {
        (None, None) => None,
        (Some(from), Some(to)) => Some(QuietHours::parse(from, to).ok_or_else(|| {
            Problem::invalid_field("quiet_to", "quiet_hours.length", "has to differ from quiet_from")
        })?),
        _ => {
            return Err(Problem::invalid_field(
                "quiet_to",
                "quiet_hours.both",
                "quiet_from and quiet_to need each other",
            ));
        }
    };
    Ok(chosen.with_quiet(quiet))
}

impl From<Chosen> for Preferences {
    fn from(chosen: Chosen) -> Self {
        let (quiet_from, quiet_to) = chosen.quiet.map(QuietHours::texts).unzip();
        let cells = chosen.all().map(|(category, channel, frequency)| Preference {
            category: category.as_str().into(),
            channel: channel.as_str().into(),
            frequency: frequency.as_str().into(),
        });
        Self {
            preferences: cells.collect(),
            quiet_from,
            quiet_to,
        }
    }
}

/// How far it is, is for staff alone.
pub fn announcement(stored: StoredAnnouncement, is_staff: bool) -> Announcement {
    Announcement {
        id: stored.id.into(),
        course_id: stored.course_id.into(),
        title: stored.title,
        body: stored.body,
        created_at: Some(timestamp(stored.created_at)),
        state: is_staff.then_some(stored.state),
        sent_count: is_staff.then_some(stored.sent_count),
    }
}

impl From<Stored> for Notification {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id.into(),
            kind: stored.kind,
            title: stored.title,
            body: stored.body,
            read: stored.read_at.is_some(),
            created_at: Some(timestamp(stored.created_at)),
            link: stored.link,
        }
    }
}

impl From<&NewNotification> for Notification {
    fn from(new: &NewNotification) -> Self {
        Self {
            id: new.id.into(),
            kind: new.kind.to_owned(),
            title: new.title.clone(),
            body: new.body.clone(),
            read: false,
            created_at: Some(timestamp(new.created_at)),
            link: new.link.clone(),
        }
    }
}
