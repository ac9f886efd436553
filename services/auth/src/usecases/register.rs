use contracts::auth::v1::RegisterRequest;
use event_bus::outbox;
use problem::Problem;
use typed_id::UserId;

use super::events::{self, MailError};
use crate::app::Auth;
use crate::domain::{email, name, password};
use crate::storage::passwords;
use crate::storage::users::{self, NewUser, User};

/// Makes an account, or answers alike when the address has one; then its owner gets a mail.
pub async fn register(app: &Auth, request: RegisterRequest) -> Result<User, Problem> {
    password::check("password", &request.password, &request.email)?;
    let full_name = name::trimmed(&request.full_name)?;
    // Before it is known whether the address is taken: both ways take the same time.
    let hash = app.passwords.hash(&request.password).await?;
    let now = app.clock.now();
    let registered = app.db.write(move |mut tx| async move {
        let email = request.email.trim().to_owned();
        let email_key = email::key(&email);
        let locale = request
            .locale
            .unwrap_or_else(|| request_context::current().language.as_str().to_owned());
        let new = NewUser {
            id: UserId::new(now),
            email: &email,
            email_key: &email_key,
            full_name: &full_name,
            role: "student",
            locale: &locale,
            email_verified_at: None,
            department: "",
            student_id: "",
            now,
        };
        let Some(user) = users::insert(&mut tx, &new).await? else {
            let owner = users::by_email(&mut *tx, &email_key).await?;
            if let Some(owner) = owner {
                outbox::append(&mut tx, &events::registration_repeated(&owner)).await?;
            }
            let alike = User {
                id: new.id,
                email: email.clone(),
                full_name: full_name.clone(),
                role: "student".into(),
                locale: locale.clone(),
                time_zone: "Europe/Istanbul".into(),
                email_verified_at: None,
                is_active: true,
                totp_enabled: false,
                department: String::new(),
                student_id: String::new(),
                version: 1,
                created_at: now,
                updated_at: now,
            };
            return Ok(tx.commit(alike).await?);
        };
        passwords::set(&mut tx, user.id, &hash, now).await?;
        outbox::append(&mut tx, &events::registered(&user)).await?;
        events::request_verification(&mut tx, &user).await?;
        Ok::<_, MailError>(tx.commit(user).await?)
    });
    Ok(registered.await?)
}
