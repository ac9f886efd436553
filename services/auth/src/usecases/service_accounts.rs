use access_token::{Caller, UserToken, permissions};
use postgres::WriteError;
use problem::{Problem, codes};
use serde_json::json;
use time::Duration;
use typed_id::{SessionId, TokenId, UserId};
use uuid::Uuid;

use super::audit::{self, Act, Actor};
use super::paging::{Page, Paging};
use super::{grant, revoke};
use crate::app::Auth;
use crate::domain::secret::{self, Kind};
use crate::storage::service_accounts::{self, ServiceAccount};

const ROLE: &str = "service_account";
const LIST: &str = "service_accounts";

/// Service accounts that are in use, newest first.
pub async fn list(app: &Auth, Paging { size, token }: Paging<'_>) -> Result<Page<ServiceAccount>, Problem> {
    let before: Option<Uuid> = app.pages.open(LIST, token)?;
    let rows = service_accounts::live(app.db.primary(), app.clock.now(), before, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Page::cut(app, LIST, rows, size, |account| account.id))
}

/// Makes a service account; its secret is known now and never again.
pub async fn create(
    app: &Auth,
    caller: &Caller,
    name: String,
    wanted: Vec<String>,
    days: i64,
) -> Result<(ServiceAccount, String), Problem> {
    let user = caller.in_person()?;
    for permission in &wanted {
        if !permissions::ALL.contains(&permission.as_str()) {
            return Err(Problem::new(&codes::UNKNOWN_PERMISSION)
                .with_detail(format!("There is no permission {permission:?}.")));
        }
        // Nobody gives what they do not have.
        if !user.has(permission) {
            return Err(Problem::new(&codes::PERMISSION_DENIED));
        }
    }
    // A program's program is answered for by the person behind both.
    let maker = service_accounts::maker(app.db.primary(), user.id.0)
        .await
        .map_err(postgres::problem_of)?;
    let (now, creator) = (app.clock.now(), maker.unwrap_or(user.id));
    let client_secret = secret::random(Kind::ServiceAccount).map_err(Problem::internal)?;
    let account = ServiceAccount {
        id: typed_id::new_uuid(now),
        name,
        permissions: wanted,
        secret_hash: secret::hash(&client_secret),
        created_at: now,
        expires_at: now + Duration::days(days),
        last_used_at: None,
    };
    let (stored, actor) = (account.clone(), Actor::of(caller));
    let created = app.db.write(move |mut tx| async move {
        service_accounts::insert(&mut tx, &stored, creator.0).await?;
        let act = act("service_account.created", stored.id)
            .with(json!({"name": stored.name, "permissions": stored.permissions}));
        audit::record(&mut *tx, actor, act, now).await?;
        tx.commit(()).await
    });
    let created: Result<(), WriteError> = created.await;
    created?;
    Ok((account, client_secret))
}

/// Ends a service account with its tokens.
pub async fn end(app: &Auth, caller: &Caller, id: Uuid) -> Result<(), Problem> {
    let (actor, ttl) = (Actor::of(caller), app.settings.access.ttl());
    let ended = app.db.write(move |mut tx| async move {
        let now = tx.clock().now();
        if !service_accounts::end(&mut tx, id, now).await? {
            return tx.rollback(None).await;
        }
        let entries = revoke::of_sessions(&[SessionId(id)], now, ttl);
        revoke::record(&mut tx, &entries).await?;
        audit::record(&mut *tx, actor, act("service_account.ended", id), now).await?;
        tx.commit(Some(entries)).await
    });
    let entries = ended.await?.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    revoke::announce(app, &entries).await;
    Ok(())
}

/// An access token for the secret, and its lifetime in seconds. Whatever is wrong is answered alike.
///
/// It carries what its maker has of what it was given: a program is no more than who answers for it, and rests while they do.
pub async fn issue_token(app: &Auth, id: Uuid, client_secret: &str) -> Result<(String, i32), Problem> {
    let hash = secret::hash(client_secret);
    let used = app.db.write(move |mut tx| async move {
        let maker = service_accounts::maker(&mut *tx, id).await?;
        let holder = match maker {
            // The maker's lock first, as everywhere: who changes them revokes this token too.
            Some(maker) => grant::holder(&mut tx, maker).await?,
            None => None,
        };
        let now = tx.clock().now();
        let account = match holder {
            Some(holder) => service_accounts::used(&mut tx, id, &hash, now)
                .await?
                .map(|account| (holder, account)),
            None => None,
        };
        let Some((holder, account)) = account else {
            audit::record(&mut *tx, Actor::NOBODY, act("service_account.refused", id), now).await?;
            return tx.commit(None).await;
        };
        let granted = holder.of(&account.permissions);
        let act = act("service_account.token_issued", id).with(json!({"permissions": granted}));
        audit::record(&mut *tx, Actor::user(UserId(id)), act, now).await?;
        let account = ServiceAccount {
            permissions: granted,
            ..account
        };
        tx.commit(Some((account, holder.at))).await
    });
    let used: Result<_, WriteError> = used.await;
    let (account, now) = used?.ok_or_else(|| Problem::new(&codes::INVALID_CREDENTIALS))?;
    let token = UserToken {
        user_id: UserId(account.id),
        session_id: SessionId(account.id),
        impersonator: None,
        token_id: TokenId::new(now),
        roles: &[ROLE.to_owned()],
        permissions: &account.permissions,
        now,
        ttl: app.settings.access.ttl(),
    };
    let token = app.keys.issue_user(&token).map_err(Problem::internal)?;
    Ok((token, app.settings.access.ttl_seconds))
}

fn act(action: &'static str, id: Uuid) -> Act {
    Act {
        action,
        target_kind: "service_account",
        target_id: id.to_string(),
        details: json!({}),
    }
}
