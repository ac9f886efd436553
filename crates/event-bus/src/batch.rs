//! Several events of one type in one message, as CloudEvents' JSON batch format has it: a queue keeps, hands out and settles one message
//! where there were as many as events (docs/adr/0036).

use std::borrow::Cow;
use std::collections::HashMap;

use lapin::BasicProperties;
use lapin::message::Delivery as Message;
use lapin::types::{AMQPValue, FieldTable};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::envelope::{Envelope, PERSISTENT};

const CONTENT_TYPE: &str = "application/cloudevents-batch+json";
/// Header with their number.
const COUNT: &str = "events";

/// An event as it came in a message.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub envelope: Envelope,
    /// Who sent it, as CloudEvents has it.
    pub source: Cow<'a, str>,
    pub payload: &'a [u8],
}

/// As JSON. Names of extensions have no hyphen there.
#[derive(Serialize, Deserialize)]
struct CloudEvent<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "requestid", skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The body of a message with all of them.
pub(crate) fn encode<'a>(
    source: &str,
    events: impl Iterator<Item = (&'a Envelope, &'a [u8])>,
) -> serde_json::Result<Vec<u8>> {
    let events: serde_json::Result<Vec<CloudEvent<'_>>> = events
        .map(|(envelope, payload)| {
            Ok(CloudEvent {
                specversion: Cow::Borrowed("1.0"),
                id: envelope.id.to_string().into(),
                event_type: Cow::Borrowed(&envelope.event_type),
                source: Cow::Borrowed(source),
                subject: Cow::Borrowed(&envelope.subject),
                time: envelope.occurred_at.format(&Rfc3339).unwrap_or_default().into(),
                traceparent: envelope.traceparent.as_deref().map(Cow::Borrowed),
                request_id: envelope.request_id.as_deref().map(Cow::Borrowed),
                data: serde_json::from_slice(payload)?,
            })
        })
        .collect();
    serde_json::to_vec(&events?)
}

/// Of a message that has the id of its first event: by that it is known when it comes back.
pub(crate) fn properties(id: Uuid, count: usize) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(
        COUNT.into(),
        AMQPValue::LongLongInt(count.try_into().unwrap_or(i64::MAX)),
    );
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(CONTENT_TYPE.into())
        .with_message_id(id.to_string().as_str().into())
        .with_headers(headers)
}

pub(crate) fn is_batch(properties: &BasicProperties) -> bool {
    let content_type = properties.content_type().as_ref();
    content_type.is_some_and(|content_type| content_type.as_str() == CONTENT_TYPE)
}

/// How many events a message says that it holds.
pub(crate) fn count(properties: &BasicProperties) -> usize {
    let headers = properties.headers().as_ref().map(FieldTable::inner);
    match headers.and_then(|headers| headers.get(COUNT)) {
        Some(AMQPValue::LongLongInt(count)) if is_batch(properties) => (*count).try_into().unwrap_or(1),
        _ => 1,
    }
}

/// How often a message was given to a consumer that did not settle it; the broker counts.
pub(crate) fn returns(message: &Message) -> i64 {
    let headers = message.properties.headers().as_ref().map(FieldTable::inner);
    match headers.and_then(|headers| headers.get("x-delivery-count")) {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => i64::from(*count),
        Some(AMQPValue::LongUInt(count)) => i64::from(*count),
        _ => i64::from(message.redelivered),
    }
}

/// The events of a message, be it one or several; `None` when it is none of ours.
pub(crate) fn events_of(message: &Message) -> Option<Vec<Event<'_>>> {
    if is_batch(&message.properties) {
        return read(&message.data);
    }
    let event = Event {
        envelope: Envelope::read(&message.properties)?,
        source: Cow::Borrowed(""),
        payload: &message.data,
    };
    Some(vec![event])
}

fn read(body: &[u8]) -> Option<Vec<Event<'_>>> {
    let events: Vec<CloudEvent<'_>> = serde_json::from_slice(body).ok()?;
    let events = events.into_iter().map(|event| {
        let envelope = Envelope {
            id: event.id.parse().ok()?,
            event_type: event.event_type.into_owned(),
            subject: event.subject.into_owned(),
            occurred_at: OffsetDateTime::parse(&event.time, &Rfc3339).ok()?,
            traceparent: event.traceparent.map(Cow::into_owned),
            request_id: event.request_id.map(Cow::into_owned),
        };
        Some(Event {
            envelope,
            source: event.source,
            payload: event.data.get().as_bytes(),
        })
    });
    events.collect()
}

/// What of a row decides which message it goes into.
pub(crate) struct Place<'a> {
    /// `None`: it goes alone.
    pub event_type: Option<&'a str>,
    pub subject: &'a str,
    pub bytes: usize,
}

/// Which message each goes into, the first being 0: one of its type that has room, and that is not before another one with an event of
/// its subject, as their order is kept.
pub(crate) fn places<'a>(events: impl Iterator<Item = Place<'a>>, room: usize) -> Vec<usize> {
    let mut open: HashMap<&str, usize> = HashMap::new();
    let mut last_of: HashMap<&str, usize> = HashMap::new();
    let mut left: Vec<usize> = Vec::new();
    let mut places = Vec::new();
    for event in events {
        let earliest = last_of.get(event.subject).copied().unwrap_or_default();
        let found = event
            .event_type
            .and_then(|event_type| open.get(event_type).copied());
        let place = match found {
            Some(place) if place >= earliest && left[place] >= event.bytes => place,
            _ => {
                left.push(room);
                left.len() - 1
            }
        };
        left[place] = left[place].saturating_sub(event.bytes);
        if let Some(event_type) = event.event_type {
            open.insert(event_type, place);
        }
        last_of.insert(event.subject, place);
        places.push(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use typed_id::EventId;

    fn envelope(subject: &str, request_id: Option<&str>) -> Envelope {
        let occurred_at = OffsetDateTime::from_unix_timestamp_nanos(1_800_000_000_123_456_000).unwrap();
        Envelope {
            id: EventId::new(occurred_at),
            event_type: "user.registered".into(),
            subject: subject.into(),
            occurred_at,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            request_id: request_id.map(str::to_owned),
        }
    }

    proptest! {
        #[test]
        fn events_survive_their_message(
            said in prop::collection::vec((".*", prop::option::of(".*"), ".*"), 1..5),
        ) {
            let events: Vec<(Envelope, Vec<u8>)> = said
                .iter()
                .map(|(subject, request_id, payload)| {
                    (envelope(subject, request_id.as_deref()), serde_json::to_vec(payload).unwrap())
                })
                .collect();
            let pairs = || events.iter().map(|(envelope, payload)| (envelope, payload.as_slice()));
            let body = encode("/sc/auth", pairs()).unwrap();
            let read = read(&body).unwrap();
            prop_assert!(read.iter().all(|event| event.source == "/sc/auth"));
            let read: Vec<_> = read.iter().map(|event| (&event.envelope, event.payload)).collect();
            let expected: Vec<_> = pairs().collect();
            prop_assert_eq!(format!("{read:?}"), format!("{expected:?}"));
        }

        #[test]
        fn nobody_overtakes_who_came_before(
            events in prop::collection::vec((prop::option::of("[ab]"), "[xyz]", 1_usize..40), 0..40),
        ) {
            let places = places(
                events.iter().map(|(event_type, subject, bytes)| Place {
                    event_type: event_type.as_deref(),
                    subject,
                    bytes: *bytes,
                }),
                100,
            );
            let count = places.iter().max().map_or(0, |last| last + 1);
            for (at, (event_type, subject, _)) in events.iter().enumerate() {
                for (later, (other_type, other, _)) in events.iter().enumerate().skip(at + 1) {
                    if subject == other {
                        prop_assert!(places[at] <= places[later]);
                    }
                    if places[at] == places[later] {
                        prop_assert!(event_type.is_some() && event_type == other_type);
                    }
                }
            }
            for place in 0..count {
                let bytes: usize = events.iter().zip(&places)
                    .filter_map(|(event, at)| (*at == place).then_some(event.2))
                    .sum();
                prop_assert!((1..=100).contains(&bytes));
            }
        }
    }

    #[test]
    fn what_is_no_batch_is_not_read() {
        assert!(read(b"[{\"id\":\"1\"}]").is_none());
        assert!(read(b"{}").is_none());
        assert!(!is_batch(&BasicProperties::default()));
        assert_eq!(count(&BasicProperties::default()), 1);
        assert!(is_batch(&properties(Uuid::nil(), 7)));
        assert_eq!(count(&properties(Uuid::nil(), 7)), 7);
    }
}
