//! The facts that this service tells the others.

use contracts::events::v1::{
    UserEmailChangeRequested, UserPasswordResetRequested, UserRegistered, UserRegistrationRepeated,
    UserSecurityChanged, UserUpdated, UserVerificationRequested,
};
use contracts::timestamp;
use event_bus::outbox;
use postgres::{WriteError, WriteTx};
use problem::Problem;
use time::Duration;
use typed_id::UserId;

use crate::domain::secret::{self, Kind, NoRandomness};
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::users::{self, User};

const VERIFICATION_LIFETIME: Duration = Duration::days(3);
const EMAIL_CHANGE_LIFETIME: Duration = Duration::days(1);
const RESET_LIFETIME: Duration = Duration::hours(1);
/// Who has asked for nothing reads the mail when they find the time.
const INVITATION_LIFETIME: Duration = Duration::days(7);

/// Why a mail with a link to set a password is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordMail {
    /// Its owner asked for it.
    Forgotten,
    /// Somebody else made the account.
    Invitation,
    /// Somebody else moved the account, which has no password, to another address.
    NewAddress,
}

impl PasswordMail {
    fn lifetime(self) -> Duration {
        match self {
            Self::Forgotten => RESET_LIFETIME,
            Self::Invitation | Self::NewAddress => INVITATION_LIFETIME,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for MailError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<MailError> for Problem {
    fn from(fault: MailError) -> Self {
        match fault {
            MailError::NoRandomness(fault) => Self::internal(fault),
            MailError::Write(fault) => fault.into(),
        }
    }
}

pub fn registered(user: &User) -> UserRegistered {
    UserRegistered {
        user_id: user.id.into(),
        email: user.email.clone(),
        full_name: user.full_name.clone(),
        locale: user.locale.clone(),
        role: user.role.clone(),
        email_verified: user.email_verified_at.is_some(),
        version: user.version,
        time_zone: user.time_zone.clone(),
    }
}

pub fn updated(user: &User) -> UserUpdated {
    UserUpdated {
        user_id: user.id.into(),
        email: user.email.clone(),
        full_name: user.full_name.clone(),
        locale: user.locale.clone(),
        role: user.role.clone(),
        email_verified: user.email_verified_at.is_some(),
        is_active: user.is_active,
        version: user.version,
        time_zone: user.time_zone.clone(),
    }
}

pub fn registration_repeated(user: &User) -> UserRegistrationRepeated {
    UserRegistrationRepeated {
        user_id: user.id.into(),
        email: user.email.clone(),
        full_name: user.full_name.clone(),
        locale: user.locale.clone(),
    }
}

/// What of signing in has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityChange {
    Password,
    TotpEnabled,
    TotpDisabled,
    RecoveryCodeUsed,
    RecoveryCodesRenewed,
    IdentityLinked,
    IdentityUnlinked,
    EmailChangeRequested,
    Email,
}

/// Tells the account's owner by mail, in case it was not them.
pub async fn security_changed(
    tx: &mut WriteTx,
    user: UserId,
    change: SecurityChange,
) -> Result<(), sqlx::Error> {
    match users::by_id(&mut **tx, user).await? {
        Some(user) => tell_of_change(tx, user, change).await,
        None => Ok(()),
    }
}

/// The same to the address that the account is known by here: of a new one, that of before.
pub async fn tell_of_change(tx: &mut WriteTx, user: User, change: SecurityChange) -> Result<(), sqlx::Error> {
    let change = match change {
        SecurityChange::Password => "password",
        SecurityChange::TotpEnabled => "totp_enabled",
        SecurityChange::TotpDisabled => "totp_disabled",
        SecurityChange::RecoveryCodeUsed => "recovery_code_used",
        SecurityChange::RecoveryCodesRenewed => "recovery_codes_renewed",
        SecurityChange::IdentityLinked => "identity_linked",
        SecurityChange::IdentityUnlinked => "identity_unlinked",
        SecurityChange::EmailChangeRequested => "email_change_requested",
        SecurityChange::Email => "email",
    };
    let event = UserSecurityChanged {
        user_id: user.id.into(),
        email: user.email,
        full_name: user.full_name,
        locale: user.locale,
        change: change.into(),
        changed_at: Some(timestamp(tx.clock().now())),
    };
    outbox::append(tx, &event).await?;
    Ok(())
}

/// Makes a verification secret and asks for its mail.
pub async fn request_verification(tx: &mut WriteTx, user: &User) -> Result<(), MailError> {
    let now = tx.clock().now();
    let (token, expires_at) = (secret::random(Kind::VerifyEmail)?, now + VERIFICATION_LIFETIME);
    one_time_tokens::insert(
        tx,
        &secret::hash(&token),
        user.id,
        Purpose::VerifyEmail,
        now,
        expires_at,
    )
    .await?;
    let event = UserVerificationRequested {
        user_id: user.id.into(),
        email: user.email.clone(),
        full_name: user.full_name.clone(),
        locale: user.locale.clone(),
        token,
        expires_at: Some(timestamp(expires_at)),
    };
    outbox::append(tx, &event).await?;
    Ok(())
}

/// Makes a secret for a new address and asks for the mail to it.
pub async fn request_email_change(tx: &mut WriteTx, user: &User, new_email: String) -> Result<(), MailError> {
    let now = tx.clock().now();
    let (token, expires_at) = (secret::random(Kind::ChangeEmail)?, now + EMAIL_CHANGE_LIFETIME);
    let hash = secret::hash(&token);
    one_time_tokens::insert_email_change(tx, &hash, user.id, &new_email, now, expires_at).await?;
    let event = UserEmailChangeRequested {
        user_id: user.id.into(),
        email: new_email,
        full_name: user.full_name.clone(),
        locale: user.locale.clone(),
        token,
        expires_at: Some(timestamp(expires_at)),
    };
    outbox::append(tx, &event).await?;
    Ok(())
}

/// Makes a secret for setting a password and asks for its mail.
pub async fn request_password(tx: &mut WriteTx, user: &User, mail: PasswordMail) -> Result<(), MailError> {
    let now = tx.clock().now();
    let (token, expires_at) = (secret::random(Kind::ResetPassword)?, now + mail.lifetime());
    one_time_tokens::insert(
        tx,
        &secret::hash(&token),
        user.id,
        Purpose::ResetPassword,
        now,
        expires_at,
    )
    .await?;
    let event = UserPasswordResetRequested {
        user_id: user.id.into(),
        email: user.email.clone(),
        full_name: user.full_name.clone(),
        locale: user.locale.clone(),
        token,
        expires_at: Some(timestamp(expires_at)),
        is_invitation: (mail == PasswordMail::Invitation).then_some(true),
    };
    outbox::append(tx, &event).await?;
    Ok(())
}

/// The same for many new accounts at once.
pub async fn request_passwords(tx: &mut WriteTx, users: &[User]) -> Result<(), MailError> {
    let now = tx.clock().now();
    let expires_at = now + INVITATION_LIFETIME;
    let mut secrets = Vec::with_capacity(users.len());
    let mut events = Vec::with_capacity(users.len());
    for user in users {
        let token = secret::random(Kind::ResetPassword)?;
        secrets.push((user.id, secret::hash(&token)));
        events.push(UserPasswordResetRequested {
            user_id: user.id.into(),
            email: user.email.clone(),
            full_name: user.full_name.clone(),
            locale: user.locale.clone(),
            token,
            expires_at: Some(timestamp(expires_at)),
            is_invitation: Some(true),
        });
    }
    one_time_tokens::insert_many(tx, &secrets, Purpose::ResetPassword, now, expires_at).await?;
    outbox::append_all(tx, &events).await?;
    Ok(())
}
