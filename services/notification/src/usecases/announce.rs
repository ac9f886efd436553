use access_token::Caller;
use postgres::problem_of;
use problem::{Problem, codes};
use typed_id::{AnnouncementId, CourseId};
use uuid::Uuid;

use super::ChangeError;
use crate::app::Notification;
use crate::storage::announcements::{self, Announcement};

/// One page of a course's announcements; the token is empty on the last one.
#[derive(Debug)]
pub struct Page {
    pub announcements: Vec<Announcement>,
    pub next_page_token: String,
    /// Whether the caller may know how far each is.
    pub is_staff: bool,
}

/// Writes an announcement down; it is sent from there.
pub async fn announce(
    app: &Notification,
    caller: &Caller,
    course: CourseId,
    title: &str,
    body: &str,
) -> Result<Announcement, Problem> {
    let course = app.roster.staff_course(caller, course).await?;
    if course.is_archived {
        return Err(Problem::new(&codes::COURSE_ARCHIVED));
    }
    let now = app.clock.now();
    let announcement = Announcement {
        id: AnnouncementId::new(now),
        course_id: course.id,
        course_title: course.title,
        title: filled("title", title)?,
        body: filled("body", body)?,
        state: "sending".into(),
        reached: Uuid::nil(),
        sent_count: 0,
        created_at: now,
    };
    let author = caller.user()?.id;
    let written = app.db.write(move |mut tx| async move {
        announcements::insert(&mut *tx, &announcement, author).await?;
        Ok::<_, ChangeError>(tx.commit(announcement).await?)
    });
    let announcement = written.await?;
    app.wake_announcer.notify_one();
    Ok(announcement)
}

fn filled(field: &str, text: &str) -> Result<String, Problem> {
    match text.trim() {
        "" => Err(Problem::invalid_field(
            field,
            "string.min_len",
            "has to be at least 1 character",
        )),
        text => Ok(text.to_owned()),
    }
}

/// A course's announcements, for its staff and its students, newest first.
pub async fn list(
    app: &Notification,
    caller: &Caller,
    course: CourseId,
    page_size: i64,
    page_token: Option<&str>,
) -> Result<Page, Problem> {
    let (_, is_staff) = app.roster.member_course(caller.user()?, course).await?;
    let scope = format!("announcements:{course}");
    let before: Option<AnnouncementId> = app.pages.open(&scope, page_token)?;
    let mut rows = announcements::page(app.db.primary(), course, before, page_size + 1)
        .await
        .map_err(problem_of)?;
    let next_page_token = app.pages.cut(&scope, &mut rows, page_size, |last| last.id);
    Ok(Page {
        announcements: rows,
        next_page_token,
        is_staff,
    })
}
