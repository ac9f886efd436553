use access_token::{Caller, Revocation};
use contracts::events::v1::{UserDataErased, UserErased};
use event_bus::{Delivery, HandlerError, outbox};
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use serde_json::json;
use typed_id::{InvalidId, UserId};

use super::audit::{self, Act, Actor};
use super::{events, revoke, second_factor};
use crate::app::Auth;
use crate::storage::operations::{self, NewOperation, Operation};
use crate::storage::{erasures, service_accounts, sessions, users};

const KIND: &str = "erasure";

enum Outcome {
    Begun(Box<Operation>, Vec<Revocation>),
    LastAdmin,
    Gone,
}

/// Erases the caller's account here, and asks every service to erase what it holds.
///
/// The account keeps its id without a name: projections that ask again learn nothing any more.
pub async fn delete_me(app: &Auth, caller: &Caller) -> Result<Operation, Problem> {
    second_factor::check_fresh(app, caller).await?;
    let (user, ttl) = (caller.in_person()?.id, app.settings.access.ttl());
    let services: Vec<String> = app
        .data_holders
        .iter()
        .map(|holder| holder.name().replace('_', "-"))
        .collect();
    let erased = app.db.write(move |mut tx| async move {
        if users::lock_active_admins(&mut tx).await? == [user.0] {
            return tx.rollback(Outcome::LastAdmin).await;
        }
        if users::lock(&mut tx, user).await?.is_none() {
            return tx.rollback(Outcome::Gone).await;
        }
        let now = tx.clock().now();
        let ended = sessions::end(&mut tx, user, None, None, now).await?;
        let mut entries = revoke::of_sessions(&ended, now, ttl);
        entries.extend(revoke::of_users(&[user], now, ttl));
        let programs = service_accounts::of_makers(&mut tx, &[user.0]).await?;
        entries.extend(revoke::of_users(&programs, now, ttl));
        revoke::record(&mut tx, &entries).await?;
        let version = erasures::blank_account(&mut tx, user, now).await?;
        let new = NewOperation {
            id: typed_id::new_uuid(now),
            kind: KIND,
            owner: user,
            total: i32::try_from(services.len()).unwrap_or_default(),
            input: None,
            options: json!({}),
            now,
        };
        let operation = operations::insert(&mut tx, &new).await?;
        erasures::begin(&mut tx, user, operation.id, &services, now).await?;
        let event = UserErased {
            user_id: user.to_string(),
            version: version.unwrap_or_default(),
        };
        outbox::append(&mut tx, &event).await?;
        if let Some(blank) = users::by_id(&mut *tx, user).await? {
            outbox::append(&mut tx, &events::updated(&blank)).await?;
        }
        audit::record(
            &mut *tx,
            Actor::user(user),
            Act::on_user("user.erased", user),
            now,
        )
        .await?;
        tx.commit(Outcome::Begun(Box::new(operation), entries)).await
    });
    let erased: Result<_, WriteError> = erased.await;
    match erased? {
        Outcome::Begun(operation, entries) => {
            revoke::announce(app, &entries).await;
            Ok(*operation)
        }
        Outcome::LastAdmin => Err(Problem::new(&codes::LAST_ADMIN)),
        Outcome::Gone => Err(Problem::new(&codes::NOT_FOUND)),
    }
}

/// A service has erased what it held.
pub async fn data_erased(tx: &mut WriteTx, delivery: Delivery<UserDataErased>) -> Result<(), HandlerError> {
    let event = delivery.event;
    let user: UserId = event
        .user_id
        .parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    let now = tx.clock().now();
    Ok(erasures::answered(tx, user, &event.service, now).await?)
}
