use problem::{Code, Problem, codes};
use serde_json::json;
use time::Duration;
use typed_id::SessionId;

use super::audit::{self, Act, Actor};
use super::begin_session::{Place, begin_session};
use super::grant::{self, Holder, Tokens};
use super::{second_factor, tries};
use crate::app::Auth;
use crate::domain::device::{self, Counted};
use crate::domain::email;
use crate::domain::secret::{self, Kind};
use crate::storage::credentials::{self, Credentials};
use crate::storage::{passwords, sign_in_tries};

/// What a client shows to sign in.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignIn<'a> {
    pub email: &'a str,
    pub password: &'a str,
    pub totp_code: Option<&'a str>,
    pub device_token: Option<&'a str>,
}

enum Outcome {
    Begun(Box<Holder>, SessionId),
    /// The password is right and the second factor is missing.
    CodeMissing,
    CodeWrong,
    Refused,
}

/// Signs in with a password, and a second factor where there is one. Whatever was wrong, the answer and its time are the same; only
/// who has shown the right password learns that the factor is missing or wrong.
pub async fn login(app: &Auth, shown: SignIn<'_>) -> Result<Tokens, Problem> {
    let place = Place::here();
    let email_key = email::key(shown.email);
    let found = credentials::by_email(app.db.primary(), &email_key, &place.ip, &place.device)
        .await
        .map_err(postgres::problem_of)?;
    let subject = subject(app, &email_key, shown, found.as_ref(), (&place.ip, &place.device));
    tries::take(app, &subject).await?;
    let hash = found.as_ref().and_then(|found| found.hash.clone());
    let verified = app.passwords.verify(shown.password, hash).await?;
    let Some(user) = found
        .as_ref()
        .filter(|found| verified.matches && found.is_active)
        .cloned()
    else {
        return Err(refused(app, found.as_ref(), &codes::INVALID_CREDENTIALS).await?);
    };
    let new_hash = if verified.outdated {
        Some(app.passwords.hash(shown.password).await?)
    } else {
        None
    };
    let refresh_token = secret::random(Kind::Refresh).map_err(Problem::internal)?;
    let device_token = device::token(&app.device_key, user.user_id).map_err(Problem::internal)?;
    let hashed = secret::hash(&refresh_token);
    let absolute = Duration::days(app.settings.sessions.absolute_days);
    let (sealer, code) = (app.sealer.clone(), shown.totp_code.map(str::to_owned));
    let begun = app.db.write(move |mut tx| async move {
        let Some(holder) = grant::holder(&mut tx, user.user_id).await? else {
            return Ok(tx.rollback(Outcome::Refused).await?);
        };
        // A password that was changed since it was verified no longer signs in.
        let current = passwords::of_user(&mut *tx, user.user_id).await?;
        if current.map(|current| current.set_at) != user.set_at {
            return Ok(tx.rollback(Outcome::Refused).await?);
        }
        if holder.user.totp_enabled {
            let Some(code) = code else {
                return Ok(tx.rollback(Outcome::CodeMissing).await?);
            };
            if !second_factor::take(&mut tx, &sealer, user.user_id, &code).await? {
                return Ok(tx.rollback(Outcome::CodeWrong).await?);
            }
        }
        if let (Some(new), Some(old)) = (&new_hash, &user.hash) {
            passwords::rehash(&mut tx, user.user_id, old, new).await?;
        }
        let session = begin_session(&mut tx, &holder, place, &hashed, absolute, json!({})).await?;
        sign_in_tries::reset(&mut *tx, &subject).await?;
        Ok::<_, second_factor::TakeError>(tx.commit(Outcome::Begun(Box::new(holder), session)).await?)
    });
    match begun.await? {
        Outcome::Begun(holder, session) => holder.tokens(app, session, refresh_token, device_token),
        Outcome::CodeMissing => Err(Problem::new(&codes::TOTP_REQUIRED)),
        Outcome::CodeWrong => Err(refused(app, found.as_ref(), &codes::WRONG_TOTP_CODE).await?),
        Outcome::Refused => Err(refused(app, found.as_ref(), &codes::INVALID_CREDENTIALS).await?),
    }
}

/// The bucket that a try is taken from.
fn subject(
    app: &Auth,
    email_key: &str,
    shown: SignIn<'_>,
    found: Option<&Credentials>,
    (ip, device): (&str, &str),
) -> Vec<u8> {
    let known = found
        .zip(shown.device_token)
        .and_then(|(found, token)| device::known(&app.device_key, found.user_id, token));
    let counted = match &known {
        Some(id) => Counted::Device(id),
        None if found.is_some_and(|found| found.is_known_place) => Counted::Place { ip, device },
        None => Counted::Account,
    };
    device::subject(email_key, counted)
}

/// Written for unknown addresses too: an account must not show by the time of a commit.
async fn refused(app: &Auth, found: Option<&Credentials>, code: &'static Code) -> Result<Problem, Problem> {
    // Whether the password was known is what tells a guess from an intruder.
    let act = Act {
        action: "sign_in.failed",
        target_kind: "user",
        target_id: found.map(|found| found.user_id.to_string()).unwrap_or_default(),
        details: json!({"code": code.name}),
    };
    audit::record(app.db.primary(), Actor::NOBODY, act, app.clock.now())
        .await
        .map_err(postgres::problem_of)?;
    Ok(Problem::new(code))
}
