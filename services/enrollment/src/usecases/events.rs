//! The facts that this service tells the others. Their actor is nobody where time or videos decided.

use contracts::events::v1::{EnrollmentCreated, EnrollmentStatusChanged};
use contracts::timestamp;
use typed_id::UserId;

use crate::domain::status::Status;
use crate::storage::enrollments::Enrollment;

pub fn created(enrollment: &Enrollment, course_title: &str, actor: Option<UserId>) -> EnrollmentCreated {
    EnrollmentCreated {
        enrollment_id: enrollment.id.into(),
        version: enrollment.version,
        user_id: enrollment.user_id.into(),
        course_id: enrollment.course_id.into(),
        course_title: course_title.to_owned(),
        status: enrollment.status.to_string(),
        enrolled_at: Some(timestamp(enrollment.enrolled_at)),
        actor_id: actor.map(String::from).unwrap_or_default(),
    }
}

/// An active enrolment was completed by all videos.
pub fn completed(enrollment: &Enrollment, course_title: &str) -> EnrollmentStatusChanged {
    status_changed(enrollment, course_title, Status::Active, None)
}

pub fn status_changed(
    enrollment: &Enrollment,
    course_title: &str,
    previous: Status,
    actor: Option<UserId>,
) -> EnrollmentStatusChanged {
    EnrollmentStatusChanged {
        enrollment_id: enrollment.id.into(),
        version: enrollment.version,
        user_id: enrollment.user_id.into(),
        course_id: enrollment.course_id.into(),
        course_title: course_title.to_owned(),
        previous_status: previous.to_string(),
        status: enrollment.status.to_string(),
        actor_id: actor.map(String::from).unwrap_or_default(),
    }
}
