//! What institutions are told, how it is signed, and how long they are asked to take it (<https://www.standardwebhooks.com>).

use access_token::permissions;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use time::{Duration, OffsetDateTime};
use typed_id::EventId;

/// Events that can be subscribed to. None holds a secret; what each tells is pinned by a test, as it is a contract with others.
#[cfg(test)]
pub const EVENT_TYPES: [&str; 10] = [
    "user.registered",
    "user.updated",
    "user.erased",
    "course.changed",
    "enrollment.created",
    "enrollment.status_changed",
    "progress.video_completed",
    "progress.course_completed",
    "exam.attempt_submitted",
    "exam.attempt_graded",
];
/// What a test sends.
pub const TEST_TYPE: &str = "webhook.test";

/// The permission that shows what events of a type tell: nobody has posted to them what they may not read.
pub fn readable_with(event_type: &str) -> &'static str {
    if event_type.starts_with("user.") {
        permissions::USERS_READ
    } else {
        permissions::COURSES_MANAGE
    }
}

const PREFIX: &str = "whsec_";
const SECRET_BYTES: usize = 32;

/// Pauses after each failed try: 8 tries over 27 hours and a half.
const PAUSES: [Duration; 7] = [
    Duration::seconds(5),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(5),
    Duration::hours(10),
    Duration::hours(10),
];
/// However few tries there were: a webhook that takes nothing is tried seldom.
const LIFETIME: Duration = Duration::days(3);
/// A webhook that took nothing for so long, over so many tries, is turned off.
const PATIENCE: Duration = Duration::days(5);
const PATIENCE_TRIES: i32 = 10;
/// After failures in a row a webhook is left alone, so that what waits for it does not hammer on it.
const LONGEST_REST: Duration = Duration::minutes(1);
/// A receiver may ask for a pause of this length at most.
const LONGEST_WISH: Duration = Duration::days(1);

/// A signing secret in clear.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

#[derive(Debug, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct NoRandomness;

impl Secret {
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = vec![0; SECRET_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As its owner gets it.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

/// The header `webhook-signature`: one signature a secret.
pub fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    let all: Vec<String> = secrets
        .iter()
        .map(|secret| secret.sign(id, timestamp, body))
        .collect();
    all.join(" ")
}

/// What is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: EventId,
    pub event_type: &'static str,
    pub body: String,
    /// Whom it tells of.
    pub user_id: Option<uuid::Uuid>,
}

#[derive(serde::Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: String,
    data: serde_json::Value,
}

impl Message {
    pub fn new(
        id: EventId,
        event_type: &'static str,
        at: OffsetDateTime,
        data: serde_json::Value,
    ) -> Result<Self, serde_json::Error> {
        // What an erasure says must outlive what it erases, and names nobody.
        let is_erasure = event_type == "user.erased";
        let user_id = data.get("user_id").filter(|_| !is_erasure);
        let user_id = user_id
            .and_then(serde_json::Value::as_str)
            .and_then(|id| id.parse().ok());
        let timestamp = at.format(&time::format_description::well_known::Rfc3339);
        let body = Body {
            r#type: event_type,
            timestamp: timestamp.unwrap_or_default(),
            data,
        };
        Ok(Self {
            id,
            event_type,
            body: serde_json::to_string(&body)?,
            user_id,
        })
    }
}

/// How a try went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `None` when there was no answer.
    pub status: Option<u16>,
    /// Empty when it was taken.
    pub error: String,
    /// Beginning of the answer's body.
    pub response: String,
    pub took: std::time::Duration,
    /// What the receiver asks for.
    pub retry_after: Option<Duration>,
}

impl Outcome {
    pub fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The receiver wants nothing any more.
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

/// When a delivery is tried again after so many tries; `None` when it is given up.
pub fn next_attempt(
    tries: i32,
    queued_at: OffsetDateTime,
    wish: Option<Duration>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let pause = usize::try_from(tries - 1)
        .ok()
        .and_then(|done| PAUSES.get(done))?;
    if now - queued_at > LIFETIME {
        return None;
    }
    let pause: Duration = *pause * rand::rng().random_range(1.0_f64..1.2);
    Some(now + pause.max(wish.unwrap_or_default().min(LONGEST_WISH)))
}

/// How long a webhook is left alone after so many failures in a row.
pub fn rest(failures: i32) -> Duration {
    let seconds = 1_i64 << failures.saturating_sub(1).clamp(0, 6);
    Duration::seconds(seconds).min(LONGEST_REST)
}

/// Whether it is turned off for having taken nothing.
pub fn is_lost(failures: i32, failing_since: OffsetDateTime, now: OffsetDateTime) -> bool {
    failures >= PATIENCE_TRIES && now - failing_since >= PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2027-01-15 08:00 UTC);

    /// The example that the libraries of the standard test with.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let bytes = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secret = Secret::from_bytes(bytes);
        assert_eq!(secret.text(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(
            signatures(std::slice::from_ref(&secret), id, 1_614_265_330, body),
            signature
        );
        let both = signatures(&[Secret::new().unwrap(), secret], id, 1_614_265_330, body);
        let both: Vec<&str> = both.split(' ').collect();
        assert_eq!((both.len(), both[1]), (2, signature));
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, other) = (Secret::new().unwrap().text(), Secret::new().unwrap().text());
        assert_ne!(one, other);
        let bytes = STANDARD.decode(one.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn a_delivery_is_tried_eight_times_over_a_day_and_a_bit() {
        let (mut now, mut tries) = (NOW, 1);
        while let Some(next) = next_attempt(tries, NOW, None, now) {
            (now, tries) = (next, tries + 1);
        }
        assert_eq!(tries, 8);
        let hours = (now - NOW).whole_minutes() as f64 / 60.0;
        assert!((27.5..34.0).contains(&hours), "{hours} hours");
    }

    #[test]
    fn a_receiver_may_ask_for_a_pause_but_not_for_ever() {
        let asked = next_attempt(1, NOW, Some(Duration::hours(1)), NOW).unwrap();
        assert_eq!(asked, NOW + Duration::hours(1));
        let asked = next_attempt(1, NOW, Some(Duration::days(400)), NOW).unwrap();
        assert_eq!(asked, NOW + Duration::days(1));
        assert_eq!(next_attempt(2, NOW - Duration::days(4), None, NOW), None);
    }

    #[test]
    fn a_webhook_is_lost_after_days_and_several_tries_alone() {
        let (recently, long_ago) = (NOW - Duration::days(4), NOW - Duration::days(6));
        assert!(!is_lost(1_000, recently, NOW));
        assert!(!is_lost(9, long_ago, NOW));
        assert!(is_lost(10, long_ago, NOW));
    }

    #[test]
    fn a_message_says_what_happened_when_and_to_whom() {
        let id = EventId::new(NOW);
        let data = serde_json::json!({"user_id": "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10"});
        let message = Message::new(id, "enrollment.created", NOW, data.clone()).unwrap();
        let body = r#"{"type":"enrollment.created","timestamp":"2027-01-15T08:00:00Z","data":{"user_id":"0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10"}}"#;
        assert_eq!(message.body, body);
        assert!(message.user_id.is_some());
        assert_eq!(Message::new(id, "user.erased", NOW, data).unwrap().user_id, None);
    }

    proptest! {
        #[test]
        fn pauses_stay_bounded(tries in i32::MIN..i32::MAX, failures in i32::MIN..i32::MAX, wish in 0..i64::MAX / 2) {
            if let Some(next) = next_attempt(tries, NOW, Some(Duration::seconds(wish)), NOW) {
                prop_assert!(next >= NOW + Duration::seconds(5) && next <= NOW + Duration::days(1));
            }
            prop_assert!(rest(failures) >= Duration::seconds(1) && rest(failures) <= LONGEST_REST);
        }
    }
}
