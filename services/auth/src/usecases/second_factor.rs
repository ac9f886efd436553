use access_token::Caller;
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use sealed::{SealError, Sealer};
use time::Duration;
use typed_id::UserId;

use super::audit::{self, Act, Actor};
use super::events::{self, SecurityChange};
use super::{revoke, tries};
use crate::app::Auth;
use crate::domain::device::{self, Counted};
use crate::domain::second_factor::{self as rules, Unusable};
use crate::storage::{sessions, sign_in_tries, totp, users};

/// How young a session has to be to give a factor up.
const FRESH: Duration = Duration::minutes(15);

#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for TakeError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<TakeError> for Problem {
    fn from(fault: TakeError) -> Self {
        match fault {
            TakeError::Write(fault) => fault.into(),
            other => Self::internal(other),
        }
    }
}

/// Uses up a code of the app or a recovery code. False when it is wrong or was used.
pub async fn take(tx: &mut WriteTx, sealer: &Sealer, user: UserId, code: &str) -> Result<bool, TakeError> {
    let now = tx.clock().now();
    if code.trim().len() > 6 {
        let hash = rules::recovery_hash(code);
        if !totp::take_recovery_code(tx, user, &hash, now).await? {
            return Ok(false);
        }
        audit::record(
            &mut **tx,
            Actor::user(user),
            Act::on_user("recovery_code.used", user),
            now,
        )
        .await?;
        events::security_changed(tx, user, SecurityChange::RecoveryCodeUsed).await?;
        return Ok(true);
    }
    let Some(stored) = totp::of_user(&mut **tx, user).await? else {
        return Ok(false);
    };
    let secret = sealer.open(&user.to_string(), &stored.secret)?;
    let Some(step) = rules::step_of(&secret, code, now)? else {
        return Ok(false);
    };
    Ok(totp::take_step(tx, user, step).await?)
}

/// Makes a secret, which counts once a code of it was confirmed. Its base32 and its link.
pub async fn enroll(app: &Auth, caller: &Caller) -> Result<(String, String), Problem> {
    check_fresh(app, caller).await?;
    let user = super::user(app, caller.in_person()?.id).await?;
    let secret = rules::new_secret().map_err(Problem::internal)?;
    let sealed = app
        .sealer
        .seal(&user.id.to_string(), &secret)
        .map_err(Problem::internal)?;
    let begun = app.db.write(move |mut tx| async move {
        let now = tx.clock().now();
        let begun = totp::begin(&mut tx, user.id, &sealed, now).await?;
        tx.commit(begun).await
    });
    if !begun.await? {
        return Err(Problem::new(&codes::TOTP_ENABLED));
    }
    rules::enrolment(&secret, &user.email).map_err(Problem::internal)
}

enum Confirmed {
    Codes(Vec<access_token::Revocation>),
    NotBegun,
    Already,
    Wrong,
}

/// Turns the second factor on with a first code; answers the recovery codes.
pub async fn confirm(app: &Auth, caller: &Caller, code: &str) -> Result<Vec<String>, Problem> {
    let user = caller.in_person()?.id;
    let codes = rules::recovery_codes().map_err(Problem::internal)?;
    let hashes: Vec<Vec<u8>> = codes.iter().map(|code| rules::recovery_hash(code)).collect();
    let (sealer, code, ttl) = (app.sealer.clone(), code.to_owned(), app.settings.access.ttl());
    let confirmed = app.db.write(move |mut tx| async move {
        let now = tx.clock().now();
        users::lock(&mut tx, user).await?;
        let Some(stored) = totp::of_user(&mut *tx, user).await? else {
            return Ok(tx.rollback(Confirmed::NotBegun).await?);
        };
        if stored.confirmed_at.is_some() {
            return Ok(tx.rollback(Confirmed::Already).await?);
        }
        if !take(&mut tx, &sealer, user, &code).await? {
            return Ok(tx.rollback(Confirmed::Wrong).await?);
        }
        totp::confirm(&mut tx, user, now).await?;
        totp::put_recovery_codes(&mut tx, user, &hashes).await?;
        // Where the role demands it, the next token carries its permissions.
        let entries = revoke::of_users(&[user], now, ttl);
        revoke::record(&mut tx, &entries).await?;
        audit::record(
            &mut *tx,
            Actor::user(user),
            Act::on_user("totp.enabled", user),
            now,
        )
        .await?;
        events::security_changed(&mut tx, user, SecurityChange::TotpEnabled).await?;
        Ok::<_, TakeError>(tx.commit(Confirmed::Codes(entries)).await?)
    });
    match confirmed.await? {
        Confirmed::Codes(entries) => {
            revoke::announce(app, &entries).await;
            Ok(codes)
        }
        Confirmed::NotBegun => Err(Problem::new(&codes::TOTP_NOT_BEGUN)),
        Confirmed::Already => Err(Problem::new(&codes::TOTP_ENABLED)),
        Confirmed::Wrong => Err(Problem::new(&codes::INVALID_TOTP_CODE)),
    }
}

enum Renewed {
    Codes,
    NoFactor,
    Wrong,
}

/// New recovery codes for a code of the app; those of before are void.
pub async fn renew_recovery_codes(app: &Auth, caller: &Caller, code: &str) -> Result<Vec<String>, Problem> {
    let caller = caller.in_person()?;
    // Who holds a session alone must not get the codes by trying.
    let counted = Counted::Device(caller.session_id.0.as_bytes());
    let subject = device::subject(&caller.id.to_string(), counted);
    tries::take(app, &subject).await?;
    let renewed_codes = rules::recovery_codes().map_err(Problem::internal)?;
    let hashes: Vec<Vec<u8>> = renewed_codes
        .iter()
        .map(|code| rules::recovery_hash(code))
        .collect();
    let (sealer, code, user) = (app.sealer.clone(), code.to_owned(), caller.id);
    let renewed = app.db.write(move |mut tx| async move {
        let known = users::lock(&mut tx, user).await?;
        if !known.is_some_and(|known| known.totp_enabled) {
            return Ok(tx.rollback(Renewed::NoFactor).await?);
        }
        if !take(&mut tx, &sealer, user, &code).await? {
            return Ok(tx.rollback(Renewed::Wrong).await?);
        }
        let now = tx.clock().now();
        totp::put_recovery_codes(&mut tx, user, &hashes).await?;
        sign_in_tries::reset(&mut *tx, &subject).await?;
        let act = Act::on_user("recovery_codes.renewed", user);
        audit::record(&mut *tx, Actor::user(user), act, now).await?;
        events::security_changed(&mut tx, user, SecurityChange::RecoveryCodesRenewed).await?;
        Ok::<_, TakeError>(tx.commit(Renewed::Codes).await?)
    });
    match renewed.await? {
        Renewed::Codes => Ok(renewed_codes),
        Renewed::NoFactor => Err(Problem::new(&codes::TOTP_NOT_ENABLED)),
        Renewed::Wrong => Err(Problem::new(&codes::INVALID_TOTP_CODE)),
    }
}

/// Turns the second factor off. Not with a session that somebody may have found open.
pub async fn remove(app: &Auth, caller: &Caller) -> Result<(), Problem> {
    check_fresh(app, caller).await?;
    let user = caller.in_person()?.id;
    let ttl = app.settings.access.ttl();
    let removed = app.db.write(move |mut tx| async move {
        let now = tx.clock().now();
        let mut entries = Vec::new();
        if totp::remove(&mut tx, user, now).await? {
            // Where the role demands it, the next token carries its permissions no more.
            entries = revoke::of_users(&[user], now, ttl);
            revoke::record(&mut tx, &entries).await?;
            audit::record(
                &mut *tx,
                Actor::user(user),
                Act::on_user("totp.disabled", user),
                now,
            )
            .await?;
            events::security_changed(&mut tx, user, SecurityChange::TotpDisabled).await?;
        }
        tx.commit(entries).await
    });
    let removed: Result<_, WriteError> = removed.await;
    revoke::announce(app, &removed?).await;
    Ok(())
}

/// The session has to have begun a short while ago.
pub async fn check_fresh(app: &Auth, caller: &Caller) -> Result<(), Problem> {
    let user = caller.in_person()?;
    let begun = sessions::begun(app.db.primary(), user.session_id)
        .await
        .map_err(postgres::problem_of)?;
    if begun.is_some_and(|begun| begun > app.clock.now() - FRESH) {
        return Ok(());
    }
    Err(Problem::new(&codes::SIGN_IN_AGAIN))
}
