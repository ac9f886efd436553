//! The closed list of kinds, with two total functions: to the HTTP status and to the gRPC code.

use http::StatusCode;
use tonic::Code as GrpcCode;

/// What sort of error it is. A new kind is a decision for the whole product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be read: broken JSON, an unknown query parameter, a tampered page token.
    Malformed,
    /// The request can be read, and a field breaks a rule.
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    /// The state of the resource does not allow it.
    Conflict,
    TooLarge,
    UnsupportedMediaType,
    RateLimited,
    Internal,
    /// A part that is needed is away; trying later helps.
    Unavailable,
    Timeout,
}

impl Kind {
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    pub fn grpc_code(self) -> GrpcCode {
        match self {
            Self::Malformed | Self::Invalid | Self::UnsupportedMediaType => GrpcCode::InvalidArgument,
            Self::Unauthenticated => GrpcCode::Unauthenticated,
            Self::Forbidden => GrpcCode::PermissionDenied,
            Self::NotFound => GrpcCode::NotFound,
            Self::MethodNotAllowed => GrpcCode::Unimplemented,
            Self::Conflict => GrpcCode::FailedPrecondition,
            Self::TooLarge => GrpcCode::OutOfRange,
            Self::RateLimited => GrpcCode::ResourceExhausted,
            Self::Internal => GrpcCode::Internal,
            Self::Unavailable => GrpcCode::Unavailable,
            Self::Timeout => GrpcCode::DeadlineExceeded,
        }
    }
}
