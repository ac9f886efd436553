//! UUIDv7 newtypes, so that a course's id cannot be passed where a user's is meant.

use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

/// A text that is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct InvalidId;

/// A UUIDv7 whose time part is `now`: ids sort by creation and inserts stay local in the index.
pub fn new_uuid(now: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond()))
}

/// Not above any UUIDv7 made at `at` or later: where a search by time begins.
pub fn least_uuid(at: OffsetDateTime) -> Uuid {
    let millis = u128::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Uuid::from_u128(millis << 80 | 0x7000_8000_0000_0000_0000)
}

/// When a UUIDv7 was made, to the millisecond; `None` for another UUID.
pub fn made_at(id: Uuid) -> Option<OffsetDateTime> {
    let (seconds, nanos) = id
        .get_timestamp()
        .filter(|_| id.get_version_num() == 7)?
        .to_unix();
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}

/// Declares id newtypes: `typed_id!(CourseId, "A course.")`.
#[macro_export]
macro_rules! typed_id {
    ($($name:ident, $doc:literal;)+) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, $crate::serde::Serialize, $crate::serde::Deserialize, $crate::sqlx::Type)]
        #[serde(crate = "typed_id::serde", transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub $crate::uuid::Uuid);
        $crate::typed_id!(@impl $name);
    )+};
    (@impl $name:ident) => {
        impl $name {
            /// A new id; its time part is `now`.
            pub fn new(now: $crate::time::OffsetDateTime) -> Self {
                Self($crate::new_uuid(now))
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::InvalidId;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::uuid::Uuid::try_parse(text).map(Self).map_err(|_| $crate::InvalidId)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }
    };
}

pub use {serde, sqlx, time, uuid};

/// The ids of the product's own things.
mod ids {
    use crate as typed_id;
    typed_id!(
        UserId, "A user account.";
        SessionId, "A signed-in session (`sid` of its tokens).";
        TokenId, "One access token (`jti`).";
        CourseId, "A course.";
        CategoryId, "A category of courses.";
        TopicId, "A topic of a course.";
        VideoId, "A video of a course.";
        EnrollmentId, "A student's enrolment in a course.";
        SectionId, "A section of a course.";
        ExamId, "An exam of a course.";
        QuestionId, "A question of an exam or of a course's bank.";
        AttemptId, "A student's attempt at an exam.";
        NotificationId, "An entry of a user's inbox.";
        MailId, "An outgoing mail.";
        AnnouncementId, "A message of a course's staff to its students.";
        WebhookId, "An address of an institution that events are posted to.";
        WebhookDeliveryId, "One event on its way to one webhook.";
        EventId, "A domain event (CloudEvents `id`).";
        TaskId, "A task in the background.";
    );
}
pub use ids::*;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_json_round_trip(seconds in 0i64..4_000_000_000) {
            let id = CourseId::new(OffsetDateTime::from_unix_timestamp(seconds).unwrap());
            prop_assert_eq!(id.to_string().parse::<CourseId>().unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<CourseId>(&json).unwrap(), id);
            prop_assert_eq!(id.0.get_version_num(), 7);
        }

        #[test]
        fn ids_sort_by_time(a in 0i64..4_000_000_000, b in 0i64..4_000_000_000) {
            prop_assume!(a < b);
            let at = |s| CourseId::new(OffsetDateTime::from_unix_timestamp(s).unwrap());
            prop_assert!(at(a) < at(b));
        }
    }

    proptest! {
        #[test]
        fn the_least_of_a_moment_is_below_its_ids_and_above_earlier_ones(millis in 1i64..4_000_000_000_000) {
            let at = |ms: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap();
            let least = least_uuid(at(millis));
            prop_assert!(least <= new_uuid(at(millis)));
            prop_assert!(least > new_uuid(at(millis - 1)));
            prop_assert_eq!(made_at(least), Some(at(millis)));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!("not-an-id".parse::<UserId>(), Err(InvalidId));
    }
}
