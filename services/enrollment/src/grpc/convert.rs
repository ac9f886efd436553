//! Between the contract's messages and the use cases' types.

use std::str::FromStr;

use contracts::enrollment::v1::{Enrollment, EnrollmentState, ListEnrollmentsResponse};
use contracts::timestamp;
use problem::Problem;

use crate::domain::status::Status;
use crate::storage::enrollments::{Enrollment as Stored, Listed};
use crate::usecases::enroll::Enrolled;
use crate::usecases::list_mine::{Page, Paging};

/// The id in a field whose rule has already demanded a UUID.
pub fn id<T: FromStr>(field: &'static str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid_field(field, "string.uuid", "has to be a UUID"))
}

pub fn status(text: &str) -> Result<Status, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid_field("status", "string.in", "is not a state of an enrolment"))
}

pub fn status_filter(text: Option<&str>) -> Result<Option<Status>, Problem> {
    text.map(status).transpose()
}

pub fn paging(size: Option<i32>, token: Option<String>) -> Paging {
    Paging {
        size: postgres::page_size(size),
        token,
    }
}

impl From<Listed> for Enrollment {
    fn from(listed: Listed) -> Self {
        let Stored {
            id,
            user_id,
            course_id,
            status,
            version,
            enrolled_at,
            updated_at,
        } = listed.enrollment;
        Self {
            id: id.into(),
            user_id: user_id.into(),
            course_id: course_id.into(),
            status: status.to_string(),
            enrolled_at: Some(timestamp(enrolled_at)),
            updated_at: Some(timestamp(updated_at)),
            course_title: listed.course_title.unwrap_or_default(),
            full_name: listed.full_name.unwrap_or_default(),
            version,
        }
    }
}

impl From<Enrolled> for Enrollment {
    fn from(done: Enrolled) -> Self {
        Listed {
            enrollment: done.enrollment,
            course_title: Some(done.course_title),
            full_name: None,
        }
        .into()
    }
}

impl From<Page> for ListEnrollmentsResponse {
    fn from(page: Page) -> Self {
        Self {
            enrollments: page.enrollments.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }
    }
}

impl From<Stored> for EnrollmentState {
    fn from(stored: Stored) -> Self {
        Self {
            enrollment_id: stored.id.into(),
            version: stored.version,
            user_id: stored.user_id.into(),
            course_id: stored.course_id.into(),
            status: stored.status.to_string(),
        }
    }
}
