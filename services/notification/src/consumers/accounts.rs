use contracts::Timestamp;
use contracts::events::v1::{
    UserEmailChangeRequested, UserPasswordResetRequested, UserRegistrationRepeated, UserSecurityChanged,
    UserVerificationRequested,
};
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;

use crate::app::Notification;
use crate::domain::message::{Locale, MailKind, Recipient, Values};
use crate::usecases::tell::{Message, moment, tell};

/// These events carry the recipient, as they may come before the projection has heard of the user.
fn recipient(user_id: &str, email: String, name: String, locale: &str) -> Result<Recipient, HandlerError> {
    let user_id = user_id
        .parse()
        .map_err(|fault: typed_id::InvalidId| HandlerError::Poison(fault.into()))?;
    Ok(Recipient {
        user_id,
        address: email,
        name,
        locale: Locale::from_code(locale),
    })
}

fn mail(kind: MailKind, values: Values, link: String) -> Message {
    Message {
        mail: Some(kind),
        notification: None,
        values,
        link,
        path: String::new(),
    }
}

/// With a link that is good for a while.
fn link_mail(kind: MailKind, link: String, expires_at: Option<&Timestamp>) -> Message {
    let values = Values {
        expires_at: moment(expires_at),
        ..Values::default()
    };
    mail(kind, values, link)
}

pub async fn verification_requested(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<UserVerificationRequested>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let to = recipient(&event.user_id, event.email, event.full_name, &event.locale)?;
    let link = app.links.verify_email(&event.token);
    let message = link_mail(MailKind::VerifyEmail, link, event.expires_at.as_ref());
    tell(app, tx, delivery.id, &to, message).await
}

pub async fn password_reset_requested(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<UserPasswordResetRequested>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let kind = if event.is_invitation() {
        MailKind::Invitation
    } else {
        MailKind::ResetPassword
    };
    let to = recipient(&event.user_id, event.email, event.full_name, &event.locale)?;
    let link = app.links.reset_password(&event.token);
    let message = link_mail(kind, link, event.expires_at.as_ref());
    tell(app, tx, delivery.id, &to, message).await
}

pub async fn email_change_requested(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<UserEmailChangeRequested>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let to = recipient(&event.user_id, event.email, event.full_name, &event.locale)?;
    let link = app.links.confirm_email(&event.token);
    let message = link_mail(MailKind::ConfirmEmail, link, event.expires_at.as_ref());
    tell(app, tx, delivery.id, &to, message).await
}

pub async fn registration_repeated(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<UserRegistrationRepeated>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let to = recipient(&event.user_id, event.email, event.full_name, &event.locale)?;
    tell(
        app,
        tx,
        delivery.id,
        &to,
        mail(MailKind::RegistrationRepeated, Values::default(), String::new()),
    )
    .await
}

#[derive(Debug, thiserror::Error)]
#[error("nobody knows how to tell of the change {0:?}")]
struct UnknownChange(String);

pub async fn security_changed(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<UserSecurityChanged>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let kind = match event.change.as_str() {
        "password" => MailKind::PasswordChanged,
        "totp_enabled" => MailKind::SecondFactorEnabled,
        "totp_disabled" => MailKind::SecondFactorDisabled,
        "recovery_code_used" => MailKind::RecoveryCodeUsed,
        "recovery_codes_renewed" => MailKind::RecoveryCodesRenewed,
        "identity_linked" => MailKind::IdentityLinked,
        "identity_unlinked" => MailKind::IdentityUnlinked,
        "email_change_requested" => MailKind::EmailChangeRequested,
        "email" => MailKind::EmailChanged,
        _ => return Err(HandlerError::Poison(UnknownChange(event.change).into())),
    };
    let to = recipient(&event.user_id, event.email, event.full_name, &event.locale)?;
    let values = Values {
        happened_at: moment(event.changed_at.as_ref()),
        ..Values::default()
    };
    tell(app, tx, delivery.id, &to, mail(kind, values, String::new())).await
}
