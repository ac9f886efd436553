//! What is particular to an RPC, behind plain functions: all else of the path from HTTP to gRPC and back is compiled once.

use std::any::TypeId;

use bytes::Bytes;
use contracts::{Empty, Method, Rest, RestInput};
use problem::Problem;
use prost::Message;

/// An RPC as the handler sees it. Messages are encoded.
#[derive(Clone, Copy)]
pub struct Endpoint {
    pub method: &'static Method,
    /// The checked request.
    pub bind: fn(RestInput<'_>) -> Result<Bytes, Problem>,
    pub read: fn(Bytes) -> Result<Answer, Problem>,
    /// The request for that part of a file; `None` for one that knows no parts.
    pub for_part: fn(&Bytes, i32) -> Option<Bytes>,
}

/// What a service answered.
pub struct Answer {
    /// The `Location` of what was created, or goes on.
    pub location: Option<String>,
    pub content: Content,
}

pub enum Content {
    Nothing,
    Json(Vec<u8>),
    File(File),
}

pub struct File {
    pub content_type: String,
    pub name: String,
    pub content: Bytes,
    /// 0: this was the last one.
    pub next_part: i32,
}

impl Endpoint {
    pub fn of<R: Rest>() -> Self {
        Self {
            method: R::METHOD,
            bind: |input| Ok(rpc_client::encode(&R::bind(input)?)),
            read: read::<R>,
            for_part: |request, part| {
                let mut request = R::Request::decode(request.clone()).ok()?;
                R::set_part(&mut request, part).then(|| rpc_client::encode(&request))
            },
        }
    }
}

fn read<R: Rest>(bytes: Bytes) -> Result<Answer, Problem> {
    let message = R::Response::decode(bytes).map_err(Problem::internal)?;
    let content = if TypeId::of::<R::Response>() == TypeId::of::<Empty>() {
        Content::Nothing
    } else if let Some(file) = R::file(&message) {
        Content::File(File {
            content_type: file.content_type.clone(),
            name: file.name.clone(),
            content: file.content.clone().into(),
            next_part: file.next_part,
        })
    } else {
        Content::Json(serde_json::to_vec(&message).map_err(Problem::internal)?)
    };
    Ok(Answer {
        location: R::location(&message),
        content,
    })
}
