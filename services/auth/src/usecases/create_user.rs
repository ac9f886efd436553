use contracts::auth::v1::CreateUserRequest;
use event_bus::outbox;
use postgres::WriteError;
use problem::{Problem, codes};
use serde_json::json;
use typed_id::UserId;

use super::audit::{self, Act};
use super::events::{self, MailError, PasswordMail};
use super::list_departments::forget_departments;
use super::reach::Reach;
use crate::app::Auth;
use crate::domain::{email, name};
use crate::storage::roles;
use crate::storage::users::{self, NewUser, User};

#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error("the address has an account")]
    EmailTaken,
    #[error("there is no such role")]
    UnknownRole,
    #[error("the role is more than the caller has")]
    MoreThanCaller,
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for CreateError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<CreateError> for Problem {
    fn from(fault: CreateError) -> Self {
        match fault {
            CreateError::EmailTaken => Self::new(&codes::EMAIL_TAKEN),
            CreateError::UnknownRole => Self::new(&codes::UNKNOWN_ROLE),
            CreateError::MoreThanCaller => Self::new(&codes::MORE_THAN_YOURS),
            CreateError::Mail(fault) => fault.into(),
            CreateError::Write(fault) => fault.into(),
        }
    }
}

/// Makes an account for somebody, who gets a mail with a link to set a password (instead of A-AUTH-04's password by mail).
pub async fn create_user(app: &Auth, reach: &Reach, request: CreateUserRequest) -> Result<User, Problem> {
    let (now, full_name) = (app.clock.now(), name::trimmed(&request.full_name)?);
    // Who manages a department makes its users.
    let named = request.department.as_deref().map(str::trim);
    let department = named.or(reach.department()).unwrap_or_default().to_owned();
    if !reach.covers(&department) {
        return Err(Problem::new(&codes::OTHER_DEPARTMENT));
    }
    let reach = reach.clone();
    let created = app.db.write(move |mut tx| async move {
        let role = roles::share(&mut tx, &request.role).await?;
        if !reach.holds(&role.ok_or(CreateError::UnknownRole)?) {
            return Err(CreateError::MoreThanCaller);
        }
        let email = request.email.trim().to_owned();
        let new = NewUser {
            id: UserId::new(now),
            email: &email,
            email_key: &email::key(&email),
            full_name: &full_name,
            role: &request.role,
            locale: request.locale.as_deref().unwrap_or("tr"),
            email_verified_at: None,
            department: &department,
            student_id: request.student_id.as_deref().unwrap_or_default(),
            now,
        };
        let user = users::insert(&mut tx, &new)
            .await?
            .ok_or(CreateError::EmailTaken)?;
        outbox::append(&mut tx, &events::registered(&user)).await?;
        let act = Act::on_user("user.created", user.id).with(json!({"role": user.role}));
        audit::record(&mut *tx, reach.actor, act, now).await?;
        events::request_password(&mut tx, &user, PasswordMail::Invitation).await?;
        Ok::<_, CreateError>(tx.commit(user).await?)
    });
    let user: User = created.await?;
    if !user.department.is_empty() {
        forget_departments(app).await;
    }
    Ok(user)
}
