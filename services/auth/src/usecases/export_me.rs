use access_token::Caller;
use contracts::privacy::v1::ExportPersonalDataRequest;
use contracts::privacy::v1::rpc::ExportPersonalData;
use personal_data::PersonalData;
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use request_context::RequestContext;
use serde_json::{Map, Value, json};
use time::Duration;
use tokio_util::sync::CancellationToken;
use typed_id::UserId;
use uuid::Uuid;

use super::audit::{self, Act, Actor};
use super::operations::LEASE;
use crate::app::Auth;
use crate::storage::operations::{self, NewOperation, Operation};

pub const KIND: &str = "personal_data_export";
/// Who asks again meanwhile gets the same.
const FRESH: Duration = Duration::minutes(10);

/// What this service itself holds. Its erasure is in `storage::erasures`.
const OWN: PersonalData = PersonalData {
    service: "auth",
    held: &[
        (
            "account",
            "SELECT id, email, full_name, role, locale, time_zone, department, student_id, email_verified_at, is_active,
                 totp_enabled, created_at, updated_at FROM auth.users WHERE id = $1",
        ),
        (
            "sessions",
            "SELECT id, device, ip, created_at, last_used_at, expires_at, ended_at FROM auth.sessions WHERE user_id = $1",
        ),
        (
            "identities",
            "SELECT provider, issuer, subject, email, created_at, last_used_at FROM auth.identities WHERE user_id = $1",
        ),
        (
            "audit_log",
            "SELECT at, action, target_kind, target_id, ip FROM auth.audit_log
             WHERE actor_id = $1 OR target_id = $1::text ORDER BY id",
        ),
    ],
    erase: &[],
    blank: &[],
};

/// Begins to gather all that is held of the caller.
pub async fn export_me(app: &Auth, caller: &Caller) -> Result<Operation, Problem> {
    let user = caller.in_person()?.id;
    let services = app.data_holders.len() + 1;
    let begun = app.db.write(move |mut tx| async move {
        let operation = begin(&mut tx, user, None, services, Actor::user(user)).await?;
        tx.commit(operation).await
    });
    let begun: Result<_, WriteError> = begun.await;
    app.wake_operations.notify_one();
    Ok(begun?)
}

/// Who asks again for the same gets the operation of before.
pub(super) async fn begin(
    tx: &mut WriteTx,
    owner: UserId,
    subject: Option<UserId>,
    services: usize,
    actor: Actor,
) -> Result<Operation, sqlx::Error> {
    let now = tx.clock().now();
    if let Some(known) = operations::latest(&mut **tx, owner, subject, KIND, now - FRESH).await? {
        return Ok(known);
    }
    let new = NewOperation {
        id: typed_id::new_uuid(now),
        kind: KIND,
        owner,
        subject,
        total: i32::try_from(services).unwrap_or_default(),
        input: None,
        options: json!({}),
        now,
    };
    let operation = operations::insert(tx, &new).await?;
    let act = Act::on_user("user.exported", subject.unwrap_or(owner));
    audit::record(&mut **tx, actor, act, now).await?;
    Ok(operation)
}

/// Asks every service in turn.
pub async fn run(
    app: &Auth,
    operation: Uuid,
    user: UserId,
    stop: &CancellationToken,
) -> Result<Vec<u8>, Problem> {
    let own = personal_data::export(&app.db, user, OWN)
        .await
        .map_err(postgres::problem_of)?;
    let mut services = Map::from_iter([("auth".to_owned(), Value::Object(own))]);
    let total = i32::try_from(app.data_holders.len() + 1).unwrap_or_default();
    for (done, holder) in (1..).zip(&app.data_holders) {
        operations::progress(app.db.primary(), operation, done, total, app.clock.now() + LEASE)
            .await
            .map_err(postgres::problem_of)?;
        if stop.is_cancelled() {
            return Err(Problem::new(&codes::OPERATION_TIMEOUT));
        }
        // Each is shown a token that is good there alone: with another's it could ask everybody for everything.
        let token = app
            .keys
            .issue_service("auth", holder.name(), LEASE)
            .map_err(Problem::internal)?;
        let context = RequestContext {
            authorization: Some(token.as_str().into()),
            ..request_context::current()
        };
        let request = ExportPersonalDataRequest {
            user_id: user.to_string(),
        };
        let answer = request_context::scope(context, holder.call::<ExportPersonalData>(request)).await;
        let held = serde_json::from_str(&answer.map_err(Problem::from)?.into_inner().data)
            .map_err(Problem::internal)?;
        services.insert(holder.name().to_owned(), held);
    }
    let document =
        json!({"user_id": user, "exported_at": contracts::timestamp(app.clock.now()), "services": services});
    serde_json::to_vec_pretty(&document).map_err(Problem::internal)
}
