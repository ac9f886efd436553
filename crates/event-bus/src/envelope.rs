//! CloudEvents 1.0 over AMQP, binary mode: attributes as headers, the message as JSON.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use typed_id::EventId;

/// An event on its way.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub id: EventId,
    pub event_type: String,
    pub subject: String,
    pub occurred_at: OffsetDateTime,
    pub traceparent: Option<String>,
    pub request_id: Option<String>,
}

pub(crate) const PERSISTENT: u8 = 2;

impl Envelope {
    pub(crate) fn properties(&self, source: &str) -> BasicProperties {
        let mut headers = FieldTable::default();
        let mut put = |name: &str, value: &str| {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        put("cloudEvents_specversion", "1.0");
        put("cloudEvents_id", &self.id.to_string());
        put("cloudEvents_type", &self.event_type);
        put("cloudEvents_source", source);
        put("cloudEvents_subject", &self.subject);
        put(
            "cloudEvents_time",
            &self.occurred_at.format(&Rfc3339).unwrap_or_default(),
        );
        if let Some(traceparent) = &self.traceparent {
            put("traceparent", traceparent);
        }
        if let Some(request_id) = &self.request_id {
            put("x-request-id", request_id);
        }
        BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_message_id(self.id.to_string().as_str().into())
            .with_headers(headers)
    }

    /// `None` when it is not an envelope of ours.
    pub fn read(properties: &BasicProperties) -> Option<Self> {
        let headers = properties.headers().as_ref()?;
        let text = |name: &str| match headers.inner().get(name)? {
            AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned),
            AMQPValue::ShortString(value) => Some(value.as_str().to_owned()),
            _ => None,
        };
        Some(Self {
            id: text("cloudEvents_id")?.parse().ok()?,
            event_type: text("cloudEvents_type")?,
            subject: text("cloudEvents_subject")?,
            occurred_at: OffsetDateTime::parse(&text("cloudEvents_time")?, &Rfc3339).ok()?,
            traceparent: text("traceparent"),
            request_id: text("x-request-id"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_survives_its_headers() {
        let occurred_at = OffsetDateTime::from_unix_timestamp_nanos(1_800_000_000_123_456_000).unwrap();
        let envelope = Envelope {
            id: EventId::new(occurred_at),
            event_type: "user.registered".into(),
            subject: "ş".into(),
            occurred_at,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            request_id: None,
        };
        let read = Envelope::read(&envelope.properties("/sc/auth")).unwrap();
        assert_eq!(format!("{read:?}"), format!("{envelope:?}"));
    }

    #[test]
    fn a_foreign_message_is_no_envelope() {
        assert!(Envelope::read(&BasicProperties::default()).is_none());
    }
}
