//! The facts that this service tells the others.

use contracts::events::v1::{EnrollmentCreated, EnrollmentStatusChanged};
use contracts::timestamp;

use crate::domain::status::Status;
use crate::storage::enrollments::Enrollment;

pub fn created(enrollment: &Enrollment, course_title: &str) -> EnrollmentCreated {
    EnrollmentCreated {
        enrollment_id: enrollment.id.into(),
        version: enrollment.version,
        user_id: enrollment.user_id.into(),
        course_id: enrollment.course_id.into(),
        course_title: course_title.to_owned(),
        status: enrollment.status.to_string(),
        enrolled_at: Some(timestamp(enrollment.enrolled_at)),
    }
}

pub fn status_changed(
    enrollment: &Enrollment,
    course_title: &str,
    previous: Status,
) -> EnrollmentStatusChanged {
    EnrollmentStatusChanged {
        enrollment_id: enrollment.id.into(),
        version: enrollment.version,
        user_id: enrollment.user_id.into(),
        course_id: enrollment.course_id.into(),
        course_title: course_title.to_owned(),
        previous_status: previous.to_string(),
        status: enrollment.status.to_string(),
    }
}
