use access_token::Caller;
use contracts::events::v1::{UserDataErased, UserErased};
use event_bus::{Delivery, HandlerError, outbox};
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use serde_json::json;
use typed_id::{InvalidId, UserId};

use super::audit::{self, Act, Actor};
use super::reach::{Reach, ReachError};
use super::{events, revoke, second_factor};
use crate::app::Auth;
use crate::storage::operations::{self, NewOperation, Operation};
use crate::storage::{erasures, service_accounts, sessions, users};

const KIND: &str = "erasure";

#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error("the last admin has to stay")]
    LastAdmin,
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for EraseError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<EraseError> for Problem {
    fn from(fault: EraseError) -> Self {
        match fault {
            EraseError::LastAdmin => Self::new(&codes::LAST_ADMIN),
            EraseError::Reach(fault) => fault.into(),
            EraseError::Write(fault) => fault.into(),
        }
    }
}

/// Erases the caller's account.
pub async fn delete_me(app: &Auth, caller: &Caller) -> Result<Operation, Problem> {
    second_factor::check_fresh(app, caller).await?;
    let user = caller.in_person()?.id;
    erase(app, Reach::own(Actor::user(user)), user, user).await
}

/// Erases an account here, and asks every service to erase what it holds. The operation is the owner's.
///
/// The account keeps its id without a name: projections that ask again learn nothing any more.
pub(super) async fn erase(
    app: &Auth,
    reach: Reach,
    owner: UserId,
    user: UserId,
) -> Result<Operation, Problem> {
    let ttl = app.settings.access.ttl();
    let services: Vec<String> = app
        .data_holders
        .iter()
        .map(|holder| holder.name().replace('_', "-"))
        .collect();
    let erased = app.db.write(move |mut tx| async move {
        // Before the account's own lock: admins are locked in the order of their ids.
        let is_last = users::lock_active_admins(&mut tx).await? == [user.0];
        reach.lock_managed(&mut tx, user).await?;
        if is_last {
            return Err(EraseError::LastAdmin);
        }
        if erasures::is_erased(&mut tx, user).await? {
            return Err(ReachError::NotFound.into());
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
            owner,
            subject: (owner != user).then_some(user),
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
        audit::record(&mut *tx, reach.actor, Act::on_user("user.erased", user), now).await?;
        Ok(tx.commit((operation, entries)).await?)
    });
    let (operation, entries) = erased.await?;
    revoke::announce(app, &entries).await;
    Ok(operation)
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
