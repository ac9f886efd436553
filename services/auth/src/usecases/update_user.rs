use access_token::{Caller, Revocation};
use event_bus::outbox;
use postgres::{WriteError, WriteTx, violated_constraint};
use problem::{Problem, codes};
use serde_json::json;
use typed_id::UserId;

use super::audit::{self, Act, Actor};
use super::events::{self, MailError, PasswordMail, SecurityChange};
use super::list_departments::forget_departments;
use super::reach::{Reach, ReachError};
use super::revoke;
use crate::app::Auth;
use crate::domain::name;
use crate::storage::users::{self, Changes, User};
use crate::storage::{identities, one_time_tokens, passwords, roles, service_accounts, sessions};

#[derive(Debug, thiserror::Error)]
enum UpdateError {
    #[error("the address has another account")]
    EmailTaken,
    #[error("there is no such role")]
    UnknownRole,
    #[error("the last admin has to stay one")]
    LastAdmin,
    #[error("it is the department of others")]
    OtherDepartment,
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for UpdateError {
    fn from(fault: sqlx::Error) -> Self {
        match violated_constraint(&fault) {
            Some("users_role_fkey") => Self::UnknownRole,
            Some("idx_users_email") => Self::EmailTaken,
            _ => Self::Write(fault.into()),
        }
    }
}

impl From<UpdateError> for Problem {
    fn from(fault: UpdateError) -> Self {
        match fault {
            UpdateError::EmailTaken => Self::new(&codes::EMAIL_TAKEN),
            UpdateError::UnknownRole => Self::new(&codes::UNKNOWN_ROLE),
            UpdateError::LastAdmin => Self::new(&codes::LAST_ADMIN),
            UpdateError::Reach(fault) => fault.into(),
            UpdateError::OtherDepartment => Self::new(&codes::OTHER_DEPARTMENT),
            UpdateError::Mail(fault) => fault.into(),
            UpdateError::Write(fault) => fault.into(),
        }
    }
}

/// Changes the caller's own profile.
pub async fn update_me(app: &Auth, caller: &Caller, changes: Changes) -> Result<User, Problem> {
    let own = Changes {
        role: None,
        is_active: None,
        department: None,
        student_id: None,
        email: None,
        verified_at: None,
        ..changes
    };
    update_user(app, &Reach::own(Actor::of(caller)), caller.user()?.id, own).await
}

/// Changes an account. A new role makes its tokens void, so that the next ones carry it; a deactivation ends its sessions.
pub async fn update_user(
    app: &Auth,
    reach: &Reach,
    id: UserId,
    mut changes: Changes,
) -> Result<User, Problem> {
    let (reach, ttl) = (reach.clone(), app.settings.access.ttl());
    changes.department = changes.department.map(|name| name.trim().to_owned());
    changes.full_name = changes.full_name.as_deref().map(name::trimmed).transpose()?;
    if let Some(time_zone) = &changes.time_zone {
        check_time_zone(app, time_zone).await?;
    }
    let updated = app.db.write(move |mut tx| async move {
        let loses_admin =
            changes.role.as_deref().is_some_and(|role| role != "admin") || changes.is_active == Some(false);
        // Before the account's own lock: admins are locked in the order of their ids.
        let is_last = loses_admin && users::lock_active_admins(&mut tx).await? == [id.0];
        let before = reach.lock_managed(&mut tx, id).await?;
        if is_last {
            return Err(UpdateError::LastAdmin);
        }
        check_wanted(&mut tx, &reach, &before, &changes).await?;
        // The same address again stays as verified as it is.
        let email = changes.email.map(|email| email.trim().to_owned());
        changes.email = email.filter(|email| *email != before.email);
        let now = tx.clock().now();
        let user = users::update(&mut tx, id, &changes, now)
            .await?
            .ok_or(ReachError::NotFound)?;
        let mut entries: Vec<Revocation> = Vec::new();
        if !user.is_active && before.is_active {
            let ended = sessions::end(&mut tx, id, None, None, now).await?;
            entries.extend(revoke::of_sessions(&ended, now, ttl));
        }
        if user.role != before.role || user.is_active != before.is_active {
            entries.extend(revoke::of_users(&[id], now, ttl));
            // What one's programs may do changes along.
            let programs = service_accounts::of_makers(&mut tx, &[id.0]).await?;
            entries.extend(revoke::of_users(&programs, now, ttl));
        }
        revoke::record(&mut tx, &entries).await?;
        for act in acts(&before, &user) {
            audit::record(&mut *tx, reach.actor, act, now).await?;
        }
        outbox::append(&mut tx, &events::updated(&user)).await?;
        if user.email != before.email {
            move_mails(&mut tx, &before, &user).await?;
        }
        let moved = user.department != before.department;
        Ok(tx.commit((user, entries, moved)).await?)
    });
    let (user, entries, moved) = updated.await?;
    revoke::announce(app, &entries).await;
    if moved {
        forget_departments(app).await;
    }
    Ok(user)
}

/// Of a new address: links to the one of before are void, the new one gets its own, and the one of before a notice.
async fn move_mails(tx: &mut WriteTx, before: &User, user: &User) -> Result<(), MailError> {
    let now = tx.clock().now();
    one_time_tokens::void_all(tx, user.id, now).await?;
    // Where there is no password, the link to set one proves the address too.
    if passwords::of_user(&mut **tx, user.id).await?.is_some() {
        events::request_verification(tx, user).await?;
    } else {
        // Who has been here by an identity provider is not told again that there is an account.
        let is_invited = before.email_verified_at.is_none()
            && identities::of_user(&mut **tx, user.id, None, 1).await?.is_empty();
        let mail = if is_invited {
            PasswordMail::Invitation
        } else {
            PasswordMail::NewAddress
        };
        events::request_password(tx, user, mail).await?;
    }
    events::tell_of_change(tx, before.clone(), SecurityChange::Email).await?;
    Ok(())
}

/// Neither the role nor the department that it gets may be beyond the caller's reach.
async fn check_wanted(
    tx: &mut WriteTx,
    reach: &Reach,
    before: &User,
    changes: &Changes,
) -> Result<(), UpdateError> {
    if let Some(name) = changes.role.as_deref().filter(|role| *role != before.role) {
        let role = roles::share(tx, name).await?.ok_or(UpdateError::UnknownRole)?;
        if !reach.holds(&role) {
            return Err(ReachError::MoreThanCaller.into());
        }
    }
    match &changes.department {
        Some(department) if !reach.covers(department) => Err(UpdateError::OtherDepartment),
        _ => Ok(()),
    }
}

/// What of a change is for the audit log.
fn acts(before: &User, after: &User) -> Vec<Act> {
    let mut acts = Vec::new();
    if before.role != after.role {
        let details = json!({"from": before.role, "to": after.role});
        acts.push(Act::on_user("user.role_changed", after.id).with(details));
    }
    if before.department != after.department {
        let details = json!({"from": before.department, "to": after.department});
        acts.push(Act::on_user("user.department_changed", after.id).with(details));
    }
    if before.email != after.email {
        // Without the addresses: the log outlives an erasure.
        acts.push(Act::on_user("user.email_changed", after.id));
    }
    if before.is_active != after.is_active {
        let action = if after.is_active {
            "user.activated"
        } else {
            "user.deactivated"
        };
        acts.push(Act::on_user(action, after.id));
    }
    acts
}

async fn check_time_zone(app: &Auth, name: &str) -> Result<(), Problem> {
    let is_known = users::is_time_zone(app.db.primary(), name)
        .await
        .map_err(postgres::problem_of)?;
    if is_known {
        return Ok(());
    }
    Err(Problem::invalid_field(
        "time_zone",
        "time_zone.unknown",
        "has to be the name of an IANA time zone",
    ))
}
