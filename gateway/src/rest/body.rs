//! The body of a request: JSON, or a file where the route takes one, raw or in a form.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use contracts::{FILE_TYPES, Policy};
use futures::stream;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use multer::Multipart;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use problem::{Problem, codes};

/// Fields of a form stand for parameters of the query, and there are not many of these.
const MAX_FIELDS: usize = 16;
const MAX_FIELD_BYTES: usize = 1_024;

/// A body that was read.
pub struct ReadBody {
    pub bytes: Bytes,
    pub is_file: bool,
    /// The query of the request and the fields of its form.
    pub query: Option<String>,
}

/// What the body says that it is.
enum Kind {
    Json,
    File,
    Form { boundary: String },
    Other,
}

/// Reads the body as far as the policy lets it be. `query` is the request's own.
pub async fn read(
    policy: &Policy,
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
    patience: Duration,
) -> Result<ReadBody, Problem> {
    let kind = Kind::of(policy, headers)?;
    let limit = match kind {
        Kind::Json => policy.max_json_bytes(),
        Kind::Form { .. } => policy.max_form_bytes(),
        Kind::File | Kind::Other => policy.max_body_bytes,
    };
    // What says that it is too large is refused before it is sent.
    if hyper::body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(Problem::new(&codes::PAYLOAD_TOO_LARGE));
    }
    let Ok(body) = tokio::time::timeout(patience, Limited::new(body, limit).collect()).await else {
        return Err(Problem::new(&codes::MALFORMED_REQUEST).with_detail("the body did not arrive in time"));
    };
    let bytes = body.map_err(unreadable)?.to_bytes();
    let mut read = ReadBody {
        bytes,
        is_file: false,
        query: query.map(str::to_owned),
    };
    if read.bytes.is_empty() || policy.ignores_body {
        return Ok(read);
    }
    check_not_compressed(headers)?;
    match kind {
        Kind::Json => {}
        Kind::File => read.is_file = true,
        Kind::Form { boundary } => read = form(read, boundary, policy.max_body_bytes).await?,
        Kind::Other => return Err(Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE)),
    }
    Ok(read)
}

impl Kind {
    fn of(policy: &Policy, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut given = headers.get_all(CONTENT_TYPE).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Ok(Self::Other);
        };
        let Ok(value) = value.to_str() else {
            return Ok(Self::Other);
        };
        let essence = value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        Ok(match essence.as_str() {
            "application/json" if is_utf8(value) => Self::Json,
            "multipart/form-data" if policy.takes_file => Self::Form {
                boundary: multer::parse_boundary(value).map_err(not_a_form)?,
            },
            // In whatever encoding: services find out.
            file if policy.takes_file && FILE_TYPES.contains(&file) => Self::File,
            _ => Self::Other,
        })
    }
}

/// Whether the content type says UTF-8, if it says a charset.
fn is_utf8(content_type: &str) -> bool {
    content_type
        .split(';')
        .skip(1)
        .all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// The one file of a form; its other fields join the query.
async fn form(whole: ReadBody, boundary: String, max_file_bytes: usize) -> Result<ReadBody, Problem> {
    let bytes = whole.bytes;
    let mut form = Multipart::new(stream::iter([Ok::<_, Infallible>(bytes)]), boundary);
    let mut query = whole.query.unwrap_or_default();
    let (mut file, mut fields) = (None, 0);
    while let Some(part) = form.next_field().await.map_err(not_a_form)? {
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = part.file_name().is_some() || name == "file";
        let content = part.bytes().await.map_err(not_a_form)?;
        if is_file {
            if file.replace(content).is_some() {
                return Err(malformed("a form has one file"));
            }
            continue;
        }
        fields += 1;
        if fields > MAX_FIELDS || name.len() + content.len() > MAX_FIELD_BYTES {
            return Err(malformed("the fields of the form are too many or too long"));
        }
        let encoded = |bytes| percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        query = format!("{query}&{}={}", encoded(name.as_bytes()), encoded(&content));
    }
    let file = file.ok_or_else(|| malformed("the form has no file"))?;
    if file.len() > max_file_bytes {
        return Err(Problem::new(&codes::PAYLOAD_TOO_LARGE));
    }
    Ok(ReadBody {
        bytes: file,
        is_file: true,
        query: Some(query),
    })
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(&codes::MALFORMED_REQUEST).with_detail(detail)
}

fn not_a_form(fault: multer::Error) -> Problem {
    malformed("the body is no form of multipart/form-data").with_source(fault)
}

fn unreadable(fault: Box<dyn std::error::Error + Send + Sync>) -> Problem {
    if fault.is::<LengthLimitError>() {
        Problem::new(&codes::PAYLOAD_TOO_LARGE)
    } else {
        Problem::new(&codes::MALFORMED_REQUEST).with_source(fault)
    }
}

/// A body is read as it is: unpacked it could be of any size.
fn check_not_compressed(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Ok(())
    } else {
        Err(Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE).with_detail("a compressed body is not taken"))
    }
}
