//! What a gRPC method begins and ends with.

use access_token::Caller;
use contracts::Validate;
use problem::Problem;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

/// Response metadata: the HTTP status where it is not the policy's.
pub const HTTP_STATUS: &str = "x-http-status";
/// Response metadata: the answer is the one of an earlier request with the same Idempotency-Key.
pub const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";

/// The caller, as the server stack found it, and the message, once its rules hold.
pub fn admit<R: Validate>(mut request: Request<R>) -> Result<(Caller, R), Status> {
    let caller = request
        .extensions_mut()
        .remove::<Caller>()
        .unwrap_or(Caller::Anonymous);
    let message = request.into_inner();
    message
        .check()
        .map_err(|problem: Problem| Status::from(problem))?;
    Ok((caller, message))
}

/// Answers over HTTP with another status than the policy's.
pub fn with_http_status<T>(mut response: Response<T>, status: u16) -> Response<T> {
    response
        .metadata_mut()
        .insert(HTTP_STATUS, MetadataValue::from(status));
    response
}
