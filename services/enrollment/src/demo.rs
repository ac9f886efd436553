//! The demo student is enrolled in the first demo course.

use event_bus::outbox;
use service_runtime::demo::{STUDENT, course, thing};
use typed_id::EnrollmentId;

use crate::app::Enrollment;
use crate::storage::enrollments;
use crate::usecases::events;

const ENROLLMENT: u32 = 8_000;

pub async fn seed(app: &Enrollment) -> anyhow::Result<()> {
    let now = app.clock.now();
    let seeded = app.db.write(move |mut tx| async move {
        let id = EnrollmentId(thing(ENROLLMENT));
        match enrollments::insert(&mut tx, id, STUDENT.id, course(1), now).await? {
            Some(enrollment) => {
                outbox::append(&mut tx, &events::created(&enrollment, "Matematik I", None)).await?;
                tx.commit(()).await
            }
            None => tx.rollback(()).await,
        }
    });
    Ok(seeded.await?)
}
