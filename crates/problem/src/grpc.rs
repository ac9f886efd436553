//! Problems on the wire between our processes: gRPC status with `google.rpc` details.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use tonic::{Code as GrpcCode, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Code, FieldError, Problem, codes};

const DOMAIN: &str = "student-coaching";

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        problem.log();
        let mut details = ErrorDetails::new();
        let members = problem.members.iter();
        let members: HashMap<String, String> = members
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect();
        details.set_error_info(problem.code.name, DOMAIN, members);
        for field in &problem.fields {
            // BadRequest has no place for a rule's code, so that it leads the description.
            details.add_bad_request_violation(&field.field, format!("{}: {}", field.code, field.detail));
        }
        if problem.retry_after.is_some() {
            details.set_retry_info(problem.retry_after);
        }
        let message = problem.detail.unwrap_or_else(|| problem.code.en.to_owned());
        Status::with_error_details(problem.code.kind.grpc_code(), message, details)
    }
}

impl From<Status> for Problem {
    /// A status of ours gives back the problem it was made from, with a code of the same kind where a newer version has one that is
    /// not known here; any other is judged by its gRPC code, and its text is only logged.
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
            return foreign(status);
        };
        let code = codes::by_name(&info.reason).unwrap_or_else(|| newer(status.code()));
        let fields = details
            .bad_request()
            .map(|bad| &bad.field_violations[..])
            .unwrap_or_default();
        let mut problem = Problem::new(code);
        problem.fields = fields
            .iter()
            .map(|violation| {
                let (code, detail) = violation
                    .description
                    .split_once(": ")
                    .unwrap_or(("invalid", &violation.description));
                FieldError {
                    field: violation.field.clone(),
                    code: code.to_owned().into(),
                    detail: detail.to_owned(),
                }
            })
            .collect();
        problem.members = info
            .metadata
            .iter()
            .filter_map(|(name, json)| Some((name.clone(), serde_json::from_str(json).ok()?)))
            .collect();
        problem.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        if status.message() != code.en {
            problem.detail = Some(status.message().to_owned());
        }
        problem
    }
}

fn foreign(status: Status) -> Problem {
    let timed_out = std::iter::successors(status.source(), |&cause| cause.source())
        .any(<dyn Error>::is::<tonic::TimeoutExpired>);
    let code = match status.code() {
        GrpcCode::Cancelled if timed_out => &codes::TIMEOUT,
        // A service sends no cause along: with one, this side's connection broke.
        GrpcCode::Unknown | GrpcCode::Internal | GrpcCode::Cancelled if status.source().is_some() => {
            &codes::UNAVAILABLE
        }
        status => by_status(status),
    };
    let problem = Problem::new(code).with_source(status);
    match code.kind {
        crate::Kind::Unavailable => problem.with_retry_after(Duration::from_secs(1)),
        _ => problem,
    }
}

/// What stands for a code of ours that is not known here.
fn newer(status: GrpcCode) -> &'static Code {
    match status {
        GrpcCode::InvalidArgument => &codes::VALIDATION_FAILED,
        GrpcCode::ResourceExhausted => &codes::RATE_LIMITED,
        status => by_status(status),
    }
}

fn by_status(status: GrpcCode) -> &'static Code {
    match status {
        GrpcCode::Unauthenticated => &codes::UNAUTHENTICATED,
        GrpcCode::PermissionDenied => &codes::PERMISSION_DENIED,
        GrpcCode::NotFound => &codes::NOT_FOUND,
        GrpcCode::InvalidArgument => &codes::MALFORMED_REQUEST,
        GrpcCode::OutOfRange => &codes::PAYLOAD_TOO_LARGE,
        GrpcCode::FailedPrecondition | GrpcCode::AlreadyExists => &codes::CONFLICT,
        GrpcCode::ResourceExhausted => &codes::OVERLOADED,
        GrpcCode::DeadlineExceeded | GrpcCode::Cancelled => &codes::TIMEOUT,
        GrpcCode::Unavailable | GrpcCode::Aborted => &codes::UNAVAILABLE,
        _ => &codes::INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in codes::ALL {
            let sent = Problem::new(code).with_retry_after(Duration::from_secs(7));
            let got = Problem::from(Status::from(sent));
            assert_eq!(got.code().name, code.name);
            assert_eq!(got.detail(), None);
            assert_eq!(got.retry_after(), Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn fields_detail_and_members_survive_the_wire() {
        let fields = vec![FieldError {
            field: "options[2].text".into(),
            code: "string.min_len".into(),
            detail: "at least 1: not 0".into(),
        }];
        let courses = json!([{"id": "1", "title": "Türev: \"I\""}]);
        let got = Problem::from(Status::from(
            Problem::invalid_fields(fields.clone())
                .with_detail("look below")
                .with_member("courses", courses.clone()),
        ));
        assert_eq!(got.fields(), fields);
        assert_eq!(got.detail(), Some("look below"));
        assert_eq!(got.members()["courses"], courses);
    }

    #[test]
    fn a_code_of_a_newer_version_keeps_its_kind_and_what_is_said_with_it() {
        let sent = |status, retry_after| {
            let mut details = ErrorDetails::new();
            let members = HashMap::from([("missing".to_owned(), "[1]".to_owned())]);
            details.set_error_info("telepathy", DOMAIN, members);
            details.add_bad_request_violation("password", "password.wrong: is not the password");
            if retry_after {
                details.set_retry_info(Some(Duration::from_secs(7)));
            }
            Problem::from(Status::with_error_details(status, "Think of it.", details))
        };
        let got = sent(GrpcCode::InvalidArgument, false);
        assert_eq!(got.code(), &codes::VALIDATION_FAILED);
        assert_eq!(got.detail(), Some("Think of it."));
        assert_eq!(got.members()["missing"], json!([1]));
        let field = &got.fields()[0];
        assert_eq!(
            (&*field.field, &*field.code, &*field.detail),
            ("password", "password.wrong", "is not the password")
        );
        for (status, code) in [
            (GrpcCode::Unauthenticated, &codes::UNAUTHENTICATED),
            (GrpcCode::FailedPrecondition, &codes::CONFLICT),
            (GrpcCode::ResourceExhausted, &codes::RATE_LIMITED),
            (GrpcCode::Unavailable, &codes::UNAVAILABLE),
        ] {
            let got = sent(status, true);
            assert_eq!((got.code(), got.detail()), (code, Some("Think of it.")));
            assert_eq!(got.retry_after(), Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn a_foreign_status_leaks_nothing() {
        let got = Problem::from(Status::unknown("relation auth.users does not exist"));
        assert_eq!(got.code().name, "internal");
        assert_eq!(got.detail(), None);
    }

    #[test]
    fn a_connection_that_broke_is_no_fault_of_ours() {
        let broken = Status::from_error(Box::new(std::io::Error::from(
            std::io::ErrorKind::ConnectionReset,
        )));
        assert_eq!(Problem::from(broken).code().name, "unavailable");
        let late = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert_eq!(Problem::from(late).code().name, "timeout");
    }
}
