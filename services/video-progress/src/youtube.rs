//! The YouTube Data API v3, as far as we need it: `videos.list`.

use std::collections::HashMap;
use std::time::Duration;

use rpc_client::{Breaker, BreakerSettings};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::config::YouTubeSettings;

/// Ids of one call; the API takes no more.
pub const BATCH: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum YouTubeError {
    #[error("the quota of the key is used up")]
    QuotaExceeded,
    #[error("the key was refused: {0}")]
    Refused(String),
    #[error("it could not be reached, or had a fault: {0}")]
    Unavailable(String),
    #[error("it gave an answer that cannot be read")]
    Malformed,
}

/// Whether students can watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Available,
    Private,
    Gone,
    NotEmbeddable,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Private => "private",
            Self::Gone => "gone",
            Self::NotEmbeddable => "not_embeddable",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub status: Status,
    pub title: String,
    /// 0: not told, as with live streams.
    pub duration_seconds: i32,
    pub thumbnail_url: String,
}

impl Metadata {
    /// Of a video that YouTube does not list.
    pub fn gone() -> Self {
        Self {
            status: Status::Gone,
            title: String::new(),
            duration_seconds: 0,
            thumbnail_url: String::new(),
        }
    }
}

/// Eleven letters, digits, hyphens and underscores.
pub fn is_id(text: &str) -> bool {
    text.len() == 11
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

pub struct YouTube {
    http: reqwest::Client,
    url: String,
    key: SecretString,
    breaker: Breaker,
}

impl YouTube {
    /// `None` without a key.
    pub fn new(settings: &YouTubeSettings) -> anyhow::Result<Option<Self>> {
        if settings.api_key.expose_secret().is_empty() {
            return Ok(None);
        }
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let pause = Duration::from_mins(1);
        Ok(Some(Self {
            http,
            url: format!("{}/videos", settings.base_url.trim_end_matches('/')),
            key: settings.api_key.clone(),
            breaker: Breaker::new(BreakerSettings {
                first_pause: pause,
                max_pause: pause,
                ..BreakerSettings::default()
            }),
        }))
    }

    /// Whether it failed too often to be asked now.
    pub fn is_resting(&self) -> bool {
        !self.breaker.allows()
    }

    /// What it knows of these videos; those that it does not list are missing.
    pub async fn videos(&self, ids: &[&str]) -> Result<HashMap<String, Metadata>, YouTubeError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let outcome = self.ask(ids).await;
        match &outcome {
            Ok(_) | Err(YouTubeError::QuotaExceeded | YouTubeError::Refused(_)) => self.breaker.succeeded(),
            Err(_) => self.breaker.failed(),
        }
        outcome
    }

    async fn ask(&self, ids: &[&str]) -> Result<HashMap<String, Metadata>, YouTubeError> {
        // Ids and parts need no escaping; the key travels in a header, so that no log of addresses holds it.
        let url = format!(
            "{}?part=snippet,contentDetails,status&maxResults={BATCH}&id={}",
            self.url,
            ids.join(",")
        );
        let request = self
            .http
            .get(url)
            .header("x-goog-api-key", self.key.expose_secret());
        let unreachable = |fault: reqwest::Error| YouTubeError::Unavailable(fault.without_url().to_string());
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(YouTubeError::Malformed);
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            read_videos(&body)
        } else {
            Err(read_fault(status.as_u16(), &body))
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    #[serde(default)]
    snippet: Snippet,
    #[serde(default)]
    content_details: ContentDetails,
    #[serde(default)]
    status: ItemStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Snippet {
    title: String,
    thumbnails: HashMap<String, Thumbnail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Thumbnail {
    url: String,
    width: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContentDetails {
    duration: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ItemStatus {
    upload_status: String,
    privacy_status: String,
    embeddable: Option<bool>,
}

fn read_videos(body: &[u8]) -> Result<HashMap<String, Metadata>, YouTubeError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| YouTubeError::Malformed)?;
    Ok(answer
        .items
        .into_iter()
        .map(|item| (item.id.clone(), metadata(item)))
        .collect())
}

fn metadata(item: Item) -> Metadata {
    let status = match (
        &*item.status.upload_status,
        &*item.status.privacy_status,
        item.status.embeddable,
    ) {
        ("deleted" | "failed" | "rejected", ..) => Status::Gone,
        (_, "private", _) => Status::Private,
        (.., Some(false)) => Status::NotEmbeddable,
        _ => Status::Available,
    };
    let thumbnails = item.snippet.thumbnails.into_values();
    let largest = thumbnails
        .filter(|t| t.url.starts_with("https://"))
        .max_by_key(|t| t.width);
    Metadata {
        status,
        title: item
            .snippet
            .title
            .chars()
            .filter(|c| *c != '\0')
            .take(200)
            .collect(),
        duration_seconds: seconds(&item.content_details.duration).unwrap_or(0),
        thumbnail_url: largest.map(|thumbnail| thumbnail.url).unwrap_or_default(),
    }
}

/// ISO 8601 as YouTube writes it: `PT1H2M3S`, `P1DT2H`.
fn seconds(duration: &str) -> Option<i32> {
    let (mut total, mut number, mut in_time) = (0_i32, String::new(), false);
    for c in duration.strip_prefix('P')?.chars() {
        let unit = match c {
            'T' => {
                in_time = true;
                continue;
            }
            '0'..='9' => {
                number.push(c);
                continue;
            }
            'W' => 604_800,
            'D' => 86_400,
            'H' => 3_600,
            'M' if in_time => 60,
            'S' => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i32>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then_some(total)
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalBody,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RefusalBody {
    Detailed { errors: Vec<Reason> },
    Text(String),
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
}

fn read_fault(status: u16, body: &[u8]) -> YouTubeError {
    let reason = match serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.error) {
        Ok(RefusalBody::Detailed { errors }) => errors
            .into_iter()
            .next()
            .map(|error| error.reason)
            .unwrap_or_default(),
        Ok(RefusalBody::Text(text)) => text,
        Err(_) => String::new(),
    };
    match (status, reason.as_str()) {
        (_, "quotaExceeded" | "dailyLimitExceeded" | "rateLimitExceeded" | "userRateLimitExceeded")
        | (429, _) => YouTubeError::QuotaExceeded,
        (400..=499, _) => YouTubeError::Refused(reason),
        _ => YouTubeError::Unavailable(format!("status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_youtube_writes_them() {
        for (text, expected) in [
            ("PT1M41S", Some(101)),
            ("PT1H2M3S", Some(3_723)),
            ("P1DT2H", Some(93_600)),
            ("P0D", Some(0)),
            ("PT", Some(0)),
            ("", None),
            ("1:41", None),
            ("P3M", None),
            ("PT99999999999S", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_students_cannot_watch_is_noticed() {
        let read = |status: &str| {
            let body = format!(r#"{{"items": [{{"id": "abcdefghijk", "status": {status}}}]}}"#);
            read_videos(body.as_bytes()).unwrap()["abcdefghijk"].status
        };
        assert_eq!(
            read(r#"{"privacyStatus": "unlisted", "embeddable": true}"#),
            Status::Available
        );
        assert_eq!(read(r#"{"privacyStatus": "private"}"#), Status::Private);
        assert_eq!(read(r#"{"embeddable": false}"#), Status::NotEmbeddable);
        assert_eq!(read(r#"{"uploadStatus": "rejected"}"#), Status::Gone);
        assert!(matches!(read_videos(b"<html>"), Err(YouTubeError::Malformed)));
        assert!(matches!(
            read_videos(br#"{"items": null}"#),
            Err(YouTubeError::Malformed)
        ));
    }

    #[test]
    fn faults_are_told_apart() {
        let quota = br#"{"error": {"errors": [{"reason": "quotaExceeded"}], "code": 403}}"#;
        assert!(matches!(read_fault(403, quota), YouTubeError::QuotaExceeded));
        let key = br#"{"error": {"errors": [{"reason": "keyInvalid"}], "code": 400}}"#;
        assert!(matches!(read_fault(400, key), YouTubeError::Refused(reason) if reason == "keyInvalid"));
        assert!(matches!(
            read_fault(400, br#"{"error": "message"}"#),
            YouTubeError::Refused(_)
        ));
        assert!(matches!(read_fault(503, b"oops"), YouTubeError::Unavailable(_)));
    }

    proptest! {
        #[test]
        fn only_ids_are_ids(text in "\\PC{0,14}") {
            let expected = text.chars().count() == 11 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            prop_assert_eq!(is_id(&text), expected);
            let _ = (seconds(&text), read_videos(text.as_bytes()));
        }
    }

    /// Real answers, where they are at hand.
    #[test]
    fn real_answers_are_read() {
        #[expect(clippy::disallowed_methods, reason = "where the data of others is")]
        let shared = std::env::var("SC_SHARED_DATA").unwrap_or_else(|_| "../../../shared/data".into());
        let folder = std::path::Path::new(&shared).join("4-youtube-api");
        if !folder.exists() {
            eprintln!("skipped: {} is not there", folder.display());
            return;
        }
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let fifty = read_videos(&read("mit-learn/videos.list.2.json")).unwrap();
        assert_eq!((fifty.len(), fifty["hNDFwVVKVk0"].duration_seconds), (50, 433));
        assert!(
            fifty
                .values()
                .all(|m| m.duration_seconds > 0 && m.thumbnail_url.starts_with("https://"))
        );
        // Without contentDetails: no length, and all the rest.
        let partial = read_videos(&read("python-youtube/apidata/videos/videos_info_single.json")).unwrap();
        assert_eq!(partial["D-lhorsDlUQ"].duration_seconds, 0);
        assert!(!partial["D-lhorsDlUQ"].title.is_empty());
        let refused = read_fault(400, &read("python-youtube/error_response.json"));
        assert!(matches!(refused, YouTubeError::Refused(reason) if reason == "keyInvalid"));
    }
}
