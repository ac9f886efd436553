//! A service's answer as HTTP: status, Location, ETag, caching.

use axum::body::Body;
use axum::response::Response;
use contracts::Policy;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use problem::Problem;
use service_runtime::grpc::{HTTP_STATUS, IDEMPOTENT_REPLAYED};
use tonic::metadata::MetadataMap;

use super::endpoint::{Answer, Content};
use crate::etag;

pub fn reply(
    policy: &Policy,
    metadata: &MetadataMap,
    answer: Answer,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let own_status = metadata
        .get(HTTP_STATUS)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let status =
        StatusCode::from_u16(own_status.unwrap_or(policy.success_status)).map_err(Problem::internal)?;
    let replayed = metadata.get(IDEMPOTENT_REPLAYED).is_some();

    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let own = response.headers_mut();
    if matches!(status, StatusCode::CREATED | StatusCode::ACCEPTED)
        && let Some(location) = &answer.location
    {
        own.insert(
            LOCATION,
            HeaderValue::from_str(location).map_err(Problem::internal)?,
        );
    }
    if replayed {
        own.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    let cacheable = policy.cache.is_some();
    // `no-cache` keeps the copy but asks each time, which a 304 makes cheap; a changed course shows at once.
    let caching = if cacheable {
        "private, no-cache"
    } else {
        "no-store"
    };
    own.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    let json = match answer.content {
        Content::Nothing => return Ok(response),
        Content::File(file) => {
            own.insert(
                CONTENT_TYPE,
                HeaderValue::from_str(&file.content_type).map_err(Problem::internal)?,
            );
            let disposition = format!("attachment; filename=\"{}\"", file.name);
            own.insert(
                CONTENT_DISPOSITION,
                HeaderValue::from_str(&disposition).map_err(Problem::internal)?,
            );
            *response.body_mut() = Body::from(file.content);
            return Ok(response);
        }
        Content::Json(json) => json,
    };
    if cacheable {
        let tag = etag::of(&json);
        own.insert(VARY, HeaderValue::from_static("Authorization"));
        own.insert(ETAG, HeaderValue::from_str(&tag).map_err(Problem::internal)?);
        if headers
            .get(IF_NONE_MATCH)
            .is_some_and(|known| etag::matches(known, &tag))
        {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
    }
    own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(json);
    Ok(response)
}
