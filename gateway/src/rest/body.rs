//! The body of a request: JSON, or a file where the route takes one, raw or in a form.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
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
pub struct ReadBody<'a> {
    pub bytes: Bytes,
    pub is_file: bool,
    /// The query of the request and the fields of its form.
    pub query: Option<Cow<'a, str>>,
}

/// What the body says that it is.
enum Kind {
    Json,
    File,
    Form { boundary: String },
    Other,
}

/// Reads the body as far as the policy lets it be. `query` is the request's own.
pub async fn read<'a>(
    policy: &Policy,
    headers: &HeaderMap,
    query: Option<&'a str>,
    body: Body,
    patience: Duration,
) -> Result<ReadBody<'a>, Problem> {
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
    let Ok(body) = tokio::time::timeout(patience, whole(Limited::new(body, limit))).await else {
        return Err(Problem::new(&codes::MALFORMED_REQUEST).with_detail("the body did not arrive in time"));
    };
    let mut read = ReadBody {
        bytes: body.map_err(unreadable)?,
        is_file: false,
        query: query.map(Cow::Borrowed),
    };
    if read.bytes.is_empty() || policy.ignores_body {
        return Ok(read);
    }
    check_not_compressed(headers)?;
    match kind {
        Kind::Json => {}
        Kind::File => read.is_file = true,
        Kind::Form { boundary } => read = Box::pin(form(read, boundary, policy.max_body_bytes)).await?,
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
        let essence = value.split(';').next().unwrap_or_default().trim();
        let is = |kind: &str| essence.eq_ignore_ascii_case(kind);
        if is("application/json") && is_utf8(value) {
            return Ok(Self::Json);
        }
        if !policy.takes_file {
            return Ok(Self::Other);
        }
        if is("multipart/form-data") {
            let boundary = multer::parse_boundary(value).map_err(not_a_form)?;
            return Ok(Self::Form { boundary });
        }
        // In whatever encoding: services find out.
        let is_file = FILE_TYPES.iter().any(|kind| is(kind));
        Ok(if is_file { Self::File } else { Self::Other })
    }
}

/// The body in one piece, which is a copy only when it came in several.
async fn whole(mut body: Limited<Body>) -> Result<Bytes, BoxError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
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
async fn form(
    whole: ReadBody<'_>,
    boundary: String,
    max_file_bytes: usize,
) -> Result<ReadBody<'static>, Problem> {
    let bytes = whole.bytes;
    let mut form = Multipart::new(stream::iter([Ok::<_, Infallible>(bytes)]), boundary);
    let mut query = whole.query.unwrap_or_default().into_owned();
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
        query: Some(query.into()),
    })
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(&codes::MALFORMED_REQUEST).with_detail(detail)
}

fn not_a_form(fault: multer::Error) -> Problem {
    malformed("the body is no form of multipart/form-data").with_source(fault)
}

fn unreadable(fault: BoxError) -> Problem {
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
