use contracts::auth::v1::FinishOidcRequest;
use problem::{Code, Problem, codes};
use serde_json::json;
use time::Duration;
use typed_id::{SessionId, UserId};

use super::audit::{self, Act, Actor};
use super::begin_session::{Place, begin_session};
use super::grant::{self, Holder, Tokens};
use super::link_identity::account_of;
use super::second_factor::{self, TakeError};
use super::start_oidc::Derived;
use super::tries;
use crate::app::Auth;
use crate::domain::device::{self, Counted};
use crate::domain::email;
use crate::domain::secret::{self, Kind};
use crate::oidc::{Claims, Provider};
use crate::storage::oidc_sign_ins::{self, Shown};
use crate::storage::{sign_in_tries, users};

enum Outcome {
    Begun(Box<Holder>, SessionId),
    CodeMissing,
    CodeWrong,
    Refused,
}

/// Signs in with what an identity provider sent, and a second factor where there is one.
pub async fn finish(app: &Auth, request: FinishOidcRequest) -> Result<Tokens, Problem> {
    let provider = app.providers.get(&request.provider)?;
    let shown = Shown {
        state_hash: secret::hash(&request.state),
        verifier_hash: secret::hash(&request.verifier),
        provider: request.provider.clone(),
    };
    let outcome = match &request.code {
        Some(code) => by_code(app, provider, &shown, &request, code).await,
        None => by_second_factor(app, &shown, &request).await,
    };
    let label = if outcome.is_ok() { "succeeded" } else { "failed" };
    metrics::counter!("oidc_sign_ins_total", "outcome" => label).increment(1);
    outcome
}

async fn by_code(
    app: &Auth,
    provider: &Provider,
    shown: &Shown,
    request: &FinishOidcRequest,
    code: &str,
) -> Result<Tokens, Problem> {
    // Used up before anybody is asked: neither state nor code gets a second try.
    let begun = oidc_sign_ins::take(app.db.primary(), shown, app.clock.now())
        .await
        .map_err(postgres::problem_of)?;
    // What was begun with another issuer under this name is not finished with this one.
    let begun = begun
        .filter(|begun| begun.issuer == provider.settings().issuer)
        .ok_or_else(|| Problem::new(&codes::INVALID_SIGN_IN_STATE))?;
    let derived = Derived::of(app, &request.state);
    let asked = derived.authorization(&request.state, &begun.redirect_uri);
    let claims: Result<Claims, Problem> = provider
        .redeem(asked, code, request.iss.as_deref())
        .await
        .map_err(Problem::from);
    let known = match claims {
        Ok(claims) => account_of(app, provider, &claims).await,
        Err(fault) => Err(fault),
    };
    let user = match known {
        Ok(user) => user,
        Err(problem) => {
            failed(app, provider.name(), None, problem.code()).await?;
            return Err(problem);
        }
    };
    sign_in(app, shown, user, request.totp_code.as_deref()).await
}

/// The provider has answered for them before; their own factor was missing or wrong.
async fn by_second_factor(app: &Auth, shown: &Shown, request: &FinishOidcRequest) -> Result<Tokens, Problem> {
    let user = oidc_sign_ins::waiting(app.db.primary(), shown, app.clock.now())
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(|| Problem::new(&codes::INVALID_SIGN_IN_STATE))?;
    sign_in(app, shown, user, request.totp_code.as_deref()).await
}

async fn sign_in(app: &Auth, shown: &Shown, user: UserId, code: Option<&str>) -> Result<Tokens, Problem> {
    let account = users::by_id(app.db.primary(), user)
        .await
        .map_err(postgres::problem_of)?;
    let account = account.ok_or_else(|| Problem::new(&codes::INVALID_CREDENTIALS))?;
    // Guesses at the second factor are counted as those at a password are, apart from them.
    let subject = device::subject(&email::key(&account.email), Counted::Device(b"identity provider"));
    if code.is_some() {
        tries::take(app, &subject).await?;
    }
    let refresh_token = secret::random(Kind::Refresh).map_err(Problem::internal)?;
    let device_token = device::token(&app.device_key, user).map_err(Problem::internal)?;
    let hashed = secret::hash(&refresh_token);
    let absolute = Duration::days(app.settings.sessions.absolute_days);
    let (sealer, code, place) = (app.sealer.clone(), code.map(str::to_owned), Place::here());
    let (state, details) = (shown.state_hash.clone(), json!({"provider": shown.provider}));
    let begun = app.db.write(move |mut tx| async move {
        let Some(holder) = grant::holder(&mut tx, user).await? else {
            return Ok(tx.rollback(Outcome::Refused).await?);
        };
        if holder.user.totp_enabled {
            let Some(code) = code else {
                oidc_sign_ins::wait_for_code(&mut *tx, &state, user).await?;
                return Ok(tx.commit(Outcome::CodeMissing).await?);
            };
            if !second_factor::take(&mut tx, &sealer, user, &code).await? {
                oidc_sign_ins::wait_for_code(&mut *tx, &state, user).await?;
                return Ok(tx.commit(Outcome::CodeWrong).await?);
            }
            sign_in_tries::reset(&mut *tx, &subject).await?;
        }
        oidc_sign_ins::finish(&mut *tx, &state).await?;
        let session = begin_session(&mut tx, &holder, place, &hashed, absolute, details).await?;
        Ok::<_, TakeError>(tx.commit(Outcome::Begun(Box::new(holder), session)).await?)
    });
    match begun.await? {
        Outcome::Begun(holder, session) => holder.tokens(app, session, refresh_token, device_token),
        Outcome::CodeMissing => Err(Problem::new(&codes::TOTP_REQUIRED)),
        Outcome::CodeWrong => Err(refused(app, shown, user, &codes::WRONG_TOTP_CODE).await?),
        Outcome::Refused => Err(refused(app, shown, user, &codes::INVALID_CREDENTIALS).await?),
    }
}

async fn refused(app: &Auth, shown: &Shown, user: UserId, code: &'static Code) -> Result<Problem, Problem> {
    failed(app, &shown.provider, Some(user), code).await?;
    Ok(Problem::new(code))
}

async fn failed(app: &Auth, provider: &str, user: Option<UserId>, code: &Code) -> Result<(), Problem> {
    let act = Act {
        action: "sign_in.failed",
        target_kind: "user",
        target_id: user.map(|user| user.to_string()).unwrap_or_default(),
        details: json!({"provider": provider, "code": code.name}),
    };
    audit::record(app.db.primary(), Actor::NOBODY, act, app.clock.now())
        .await
        .map_err(postgres::problem_of)
}
