//! Many calls on one stream of gRPC, as what gathers between two turns of a process travels together (docs/adr/0035).
//!
//! `POST /sc.calls.v1.Calls/Exchange` takes a stream of [`Call`]s and answers with a stream of [`Reply`]s, in any order. Each call is
//! one that could have been made by itself: the same path, message and context, the same outcome. Either side may be older and not
//! know the stream; then calls are made one by one.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use problem::Language;
use request_context::RequestContext;
use time::OffsetDateTime;
use tokio::time::Instant;
use tonic::metadata::{KeyAndValueRef, MetadataMap};
use tonic::{Code, Response, Status};

pub const SERVICE: &str = "sc.calls.v1.Calls";
pub const PATH: &str = "/sc.calls.v1.Calls/Exchange";
/// gRPC's prefix of a message: whether it is compressed, and its length.
pub const PREFIX: usize = 5;
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// The id of no call. A reply with it tells that the server takes no further calls here: what it has, it answers.
pub const LEAVING: u64 = 0;

/// A call, or word that nobody waits for it any longer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Call {
    /// The caller's own count.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// `/sc.exam.v1.ExamService/SaveAnswer`; empty where the call of this id is given up.
    #[prost(string, tag = "2")]
    pub path: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub message: Bytes,
    /// How long the answer is wanted.
    #[prost(uint64, tag = "4")]
    pub timeout_micros: u64,
    #[prost(message, optional, tag = "5")]
    pub context: Option<Context>,
}

/// What travels with a call, as [`RequestContext`] has it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Context {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub authorization: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub client_ip: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub user_agent: Option<String>,
    #[prost(string, tag = "5")]
    pub language: String,
    /// Microseconds since the epoch.
    #[prost(int64, optional, tag = "6")]
    pub arrived_at: Option<i64>,
    #[prost(string, optional, tag = "7")]
    pub idempotency_key: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub traceparent: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub tracestate: Option<String>,
}

/// How a call ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// gRPC's code; 0 is `OK`.
    #[prost(int32, tag = "2")]
    pub code: i32,
    /// Of a call that went well.
    #[prost(bytes = "bytes", tag = "3")]
    pub message: Bytes,
    /// Of one that did not.
    #[prost(string, tag = "4")]
    pub status: String,
    /// `google.rpc.Status`, encoded.
    #[prost(bytes = "bytes", tag = "5")]
    pub details: Bytes,
    #[prost(message, repeated, tag = "6")]
    pub metadata: Vec<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Metadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

impl Call {
    pub(crate) fn new(
        id: u64,
        path: &str,
        message: Bytes,
        limit: Duration,
        context: &RequestContext,
    ) -> Self {
        Self {
            id,
            path: path.to_owned(),
            message,
            timeout_micros: u64::try_from(limit.as_micros()).unwrap_or(u64::MAX),
            context: Some(Context::of(context)),
        }
    }

    pub(crate) fn given_up(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// The context in which the call is served.
    pub fn request_context(&self) -> RequestContext {
        let sent = self.context.as_ref();
        let text =
            |of: fn(&Context) -> &Option<String>| sent.and_then(|sent| of(sent).as_deref().map(Arc::from));
        let arrived_at = sent.and_then(|sent| sent.arrived_at);
        RequestContext {
            request_id: text(|sent| &sent.request_id),
            authorization: text(|sent| &sent.authorization),
            deadline: Instant::now().checked_add(Duration::from_micros(self.timeout_micros)),
            client_ip: sent.and_then(|sent| sent.client_ip.as_deref()?.parse().ok()),
            user_agent: text(|sent| &sent.user_agent),
            language: sent.map_or_else(Language::default, |sent| {
                Language::from_accept_language(&sent.language)
            }),
            arrived_at: arrived_at.and_then(|micros| {
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()
            }),
            idempotency_key: text(|sent| &sent.idempotency_key),
            traceparent: text(|sent| &sent.traceparent),
            tracestate: text(|sent| &sent.tracestate),
            user_id: None,
        }
    }
}

impl Context {
    fn of(context: &RequestContext) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let arrived_at = context.arrived_at.map(|at| at.unix_timestamp_nanos() / 1_000);
        Self {
            request_id: text(&context.request_id),
            authorization: text(&context.authorization),
            client_ip: context.client_ip.map(|ip| ip.to_string()),
            user_agent: text(&context.user_agent),
            language: context.language.as_str().to_owned(),
            arrived_at: arrived_at.and_then(|micros| i64::try_from(micros).ok()),
            idempotency_key: text(&context.idempotency_key),
            traceparent: context.traceparent_to_send(),
            tracestate: text(&context.tracestate_to_send()),
        }
    }
}

impl Reply {
    /// Of a call that went well.
    pub fn ok(id: u64, message: Bytes, metadata: &MetadataMap) -> Self {
        Self {
            id,
            message,
            metadata: entries(metadata),
            ..Self::default()
        }
    }

    pub fn refusal(id: u64, status: &Status) -> Self {
        Self {
            id,
            code: status.code().into(),
            status: status.message().to_owned(),
            details: Bytes::copy_from_slice(status.details()),
            metadata: entries(status.metadata()),
            ..Self::default()
        }
    }

    /// Word that the server takes no further calls on this stream.
    pub fn leaving() -> Self {
        Self {
            id: LEAVING,
            ..Self::default()
        }
    }

    pub(crate) fn into_outcome(self) -> Result<Response<Bytes>, Status> {
        let mut metadata = MetadataMap::new();
        for entry in self.metadata {
            if let (Ok(name), Ok(value)) = (
                entry.name.parse::<tonic::metadata::AsciiMetadataKey>(),
                entry.value.parse(),
            ) {
                metadata.append(name, value);
            }
        }
        match Code::from_i32(self.code) {
            Code::Ok => Ok(Response::from_parts(
                metadata,
                self.message,
                http::Extensions::new(),
            )),
            code => Err(Status::with_details_and_metadata(
                code,
                self.status,
                self.details,
                metadata,
            )),
        }
    }
}

/// A message as gRPC has it in a body.
pub fn frame(message: &[u8]) -> Result<Bytes, Status> {
    let length = u32::try_from(message.len())
        .ok()
        .filter(|_| message.len() <= MAX_MESSAGE_BYTES)
        .ok_or_else(|| Status::out_of_range("the message is too large"))?;
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// What is a method's own: text, and none of what HTTP and gRPC say for themselves.
fn entries(metadata: &MetadataMap) -> Vec<Metadata> {
    let own = metadata.iter().filter_map(|entry| match entry {
        KeyAndValueRef::Ascii(name, value)
            if !["content-type", "date"].contains(&name.as_str()) && !name.as_str().starts_with("grpc-") =>
        {
            Some(Metadata {
                name: name.as_str().to_owned(),
                value: value.to_str().ok()?.to_owned(),
            })
        }
        _ => None,
    });
    own.collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn the_context_survives_the_wire() {
        let sent = RequestContext {
            request_id: Some("r-1".into()),
            authorization: Some("abc.def.ghi".into()),
            client_ip: Some("2001:db8::7".parse().unwrap()),
            user_agent: Some("curl/8".into()),
            language: Language::Tr,
            arrived_at: OffsetDateTime::from_unix_timestamp(1_800_000_000).ok(),
            idempotency_key: Some("key-1".into()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            tracestate: Some("rojo=00f067aa0ba902b7".into()),
            deadline: None,
            user_id: None,
        };
        let call = Call::new(7, "/a/b", Bytes::new(), Duration::from_millis(250), &sent);
        let got = Call::decode(&*call.encode_to_vec()).unwrap().request_context();
        assert!(got.remaining().unwrap() <= Duration::from_millis(250));
        let without_deadline = RequestContext {
            deadline: None,
            ..got
        };
        assert_eq!(format!("{without_deadline:?}"), format!("{sent:?}"));
    }

    #[test]
    fn an_outcome_survives_the_wire() {
        let wired = |reply: Reply| Reply::decode(&*reply.encode_to_vec()).unwrap().into_outcome();
        let mut metadata = MetadataMap::new();
        metadata.insert("x-http-status", MetadataValue::from_static("200"));
        metadata.insert("content-type", MetadataValue::from_static("application/grpc"));
        let answer = wired(Reply::ok(1, Bytes::from_static(b"abc"), &metadata)).unwrap();
        assert_eq!(answer.metadata().len(), 1);
        assert_eq!(answer.metadata().get("x-http-status").unwrap(), "200");
        assert_eq!(&answer.into_inner()[..], b"abc");
        let status = Status::with_details(Code::NotFound, "ünlü", Bytes::from_static(b"\x01\xff"));
        let refused = wired(Reply::refusal(1, &status)).unwrap_err();
        assert_eq!(
            (refused.code(), refused.message(), refused.details()),
            (Code::NotFound, "ünlü", &b"\x01\xff"[..])
        );
    }
}
