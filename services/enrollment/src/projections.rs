//! The little that this service keeps of courses and users, and the one question to their owner when that is not enough.

use std::collections::HashMap;

use access_token::User as CallerUser;
use contracts::auth::v1::rpc::{BatchGetUsers, FindUsersByEmail};
use contracts::auth::v1::{BatchGetUsersRequest, FindUsersByEmailRequest, UserState};
use contracts::catalog::v1::{CourseState, GetCourseStateRequest, rpc::GetCourseState};
use contracts::events::v1::{CourseChanged, UserRegistered, UserUpdated};
use problem::{Problem, codes};
use typed_id::{CourseId, InvalidId, UserId};
use uuid::Uuid;

use crate::app::Enrollment;
use crate::storage::courses::{self, Course};
use crate::storage::users::{self, User};

/// The most addresses of one question to auth.
const MAX_ASKED: usize = 500;

/// The course as far as it is known; asks the catalogue when it is unknown or `enough` is not satisfied by what is known, as it may
/// have changed a moment ago. An answer that is not to be had leaves what is known.
pub async fn course(
    app: &Enrollment,
    id: CourseId,
    enough: impl Fn(&Course) -> bool,
) -> Result<Option<Course>, Problem> {
    let known = courses::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    if known.as_ref().is_some_and(&enough) {
        return Ok(known);
    }
    match app
        .catalog
        .call_as_service::<GetCourseState>(GetCourseStateRequest { id: id.into() })
        .await
    {
        Ok(answer) => {
            let course = Course::try_from(answer.into_inner()).map_err(Problem::internal)?;
            courses::upsert(app.db.primary(), &course)
                .await
                .map_err(postgres::problem_of)?;
            // Read back: an event may have brought a newer version in between.
            courses::by_id(app.db.primary(), id)
                .await
                .map_err(postgres::problem_of)
        }
        Err(status) => match Problem::from(status) {
            problem if problem.code() == &codes::NOT_FOUND => Ok(known),
            _ if known.is_some() => Ok(known),
            problem => Err(problem),
        },
    }
}

/// The user as far as known, asking auth in the same way.
pub async fn user(
    app: &Enrollment,
    id: UserId,
    enough: impl Fn(&User) -> bool,
) -> Result<Option<User>, Problem> {
    let known = users::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    if known.as_ref().is_some_and(&enough) {
        return Ok(known);
    }
    match ask_users(app, &[id]).await {
        Ok(()) => users::by_id(app.db.primary(), id)
            .await
            .map_err(postgres::problem_of),
        Err(_) if known.is_some() => Ok(known),
        Err(problem) => Err(problem),
    }
}

/// Asks auth for users and keeps what it says.
pub async fn ask_users(app: &Enrollment, ids: &[UserId]) -> Result<(), Problem> {
    let request = BatchGetUsersRequest {
        ids: ids.iter().map(UserId::to_string).collect(),
    };
    let answer = app
        .auth
        .call_as_service::<BatchGetUsers>(request)
        .await
        .map_err(Problem::from)?;
    let found: Result<Vec<User>, InvalidId> = answer
        .into_inner()
        .users
        .into_iter()
        .map(User::try_from)
        .collect();
    users::upsert(app.db.primary(), &found.map_err(Problem::internal)?)
        .await
        .map_err(postgres::problem_of)
}

/// Users by the addresses of a file, as they are spelled there; unknown ones are left out.
pub async fn users_by_email(app: &Enrollment, emails: &[String]) -> Result<HashMap<String, User>, Problem> {
    let mut known = HashMap::new();
    for emails in emails.chunks(MAX_ASKED) {
        let request = FindUsersByEmailRequest {
            emails: emails.to_vec(),
        };
        let answer = app
            .auth
            .call_as_service::<FindUsersByEmail>(request)
            .await
            .map_err(Problem::from)?;
        for found in answer.into_inner().users {
            if let Some(user) = found.user {
                known.insert(found.asked, User::try_from(user).map_err(Problem::internal)?);
            }
        }
    }
    Ok(known)
}

/// Whether the caller's address is verified, by the newest word there is.
pub async fn is_verified(app: &Enrollment, caller: &CallerUser) -> Result<bool, Problem> {
    Ok(user(app, caller.id, |user| user.email_verified)
        .await?
        .is_some_and(|user| user.email_verified))
}

fn ids(texts: &[String]) -> Result<Vec<Uuid>, InvalidId> {
    texts
        .iter()
        .map(|text| Uuid::try_parse(text).map_err(|_| InvalidId))
        .collect()
}

impl TryFrom<CourseState> for Course {
    type Error = InvalidId;

    fn try_from(state: CourseState) -> Result<Self, InvalidId> {
        Ok(Self {
            id: state.course_id.parse()?,
            version: state.version,
            title: state.title,
            teacher_id: state.teacher_id.parse()?,
            is_published: state.is_published,
            is_archived: state.is_archived,
            seat_limit: state.seat_limit,
            prerequisite_ids: ids(&state.prerequisite_ids)?,
        })
    }
}

impl TryFrom<CourseChanged> for Course {
    type Error = InvalidId;

    fn try_from(event: CourseChanged) -> Result<Self, InvalidId> {
        Ok(Self {
            id: event.course_id.parse()?,
            version: event.version,
            title: event.title,
            teacher_id: event.teacher_id.parse()?,
            is_published: event.is_published,
            is_archived: event.is_archived,
            seat_limit: event.seat_limit,
            prerequisite_ids: ids(&event.prerequisite_ids)?,
        })
    }
}

impl TryFrom<UserState> for User {
    type Error = InvalidId;

    fn try_from(state: UserState) -> Result<Self, InvalidId> {
        Ok(Self {
            id: state.user_id.parse()?,
            version: state.version,
            full_name: state.full_name,
            email_verified: state.email_verified,
            is_active: state.is_active,
        })
    }
}

impl TryFrom<UserRegistered> for User {
    type Error = InvalidId;

    fn try_from(event: UserRegistered) -> Result<Self, InvalidId> {
        Ok(Self {
            id: event.user_id.parse()?,
            version: event.version,
            full_name: event.full_name,
            email_verified: event.email_verified,
            is_active: true,
        })
    }
}

impl TryFrom<UserUpdated> for User {
    type Error = InvalidId;

    fn try_from(event: UserUpdated) -> Result<Self, InvalidId> {
        Ok(Self {
            id: event.user_id.parse()?,
            version: event.version,
            full_name: event.full_name,
            email_verified: event.email_verified,
            is_active: event.is_active,
        })
    }
}
