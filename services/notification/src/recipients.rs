//! Who a user is: the local projection, and one question to auth when it has not heard of them yet.

use std::collections::HashSet;

use contracts::auth::v1::{BatchGetUsersRequest, UserState, rpc::BatchGetUsers};
use contracts::events::v1::{UserRegistered, UserUpdated};
use event_bus::HandlerError;
use postgres::WriteTx;
use rpc_client::RpcClient;
use typed_id::{InvalidId, UserId};
use uuid::Uuid;

use crate::domain::message::{Locale, Recipient};
use crate::storage::users::{self, User};

/// The recipient; `None` when there is no such user any more, or an inactive one.
pub async fn find(tx: &mut WriteTx, auth: &RpcClient, id: UserId) -> Result<Option<Recipient>, HandlerError> {
    Ok(find_all(tx, auth, &[id.0]).await?.pop())
}

/// Those of them who exist and are active.
pub async fn find_all(
    tx: &mut WriteTx,
    auth: &RpcClient,
    ids: &[Uuid],
) -> Result<Vec<Recipient>, HandlerError> {
    let mut known = users::by_ids(&mut **tx, ids).await?;
    if known.len() < ids.len() {
        let is_known: HashSet<Uuid> = known.iter().map(|user| user.id.0).collect();
        let unknown = ids.iter().filter(|id| !is_known.contains(id));
        let request = BatchGetUsersRequest {
            ids: unknown.map(Uuid::to_string).collect(),
        };
        let answer = auth.call_as_service::<BatchGetUsers>(request).await;
        let answer = answer.map_err(|status| HandlerError::Transient(status.into()))?;
        let found: Vec<User> = (answer.into_inner().users.into_iter())
            .map(|state| User::try_from(state).map_err(|fault| HandlerError::Poison(fault.into())))
            .collect::<Result<_, _>>()?;
        users::upsert(&mut **tx, &found).await?;
        known.extend(found);
    }
    let active = known.into_iter().filter(|user| user.is_active);
    Ok(active.map(Recipient::from).collect())
}

impl From<User> for Recipient {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id,
            address: user.email,
            name: user.full_name,
            locale: Locale::from_code(&user.locale),
        }
    }
}

impl TryFrom<UserState> for User {
    type Error = InvalidId;

    fn try_from(state: UserState) -> Result<Self, InvalidId> {
        Ok(Self {
            id: state.user_id.parse()?,
            version: state.version,
            email: state.email,
            full_name: state.full_name,
            locale: state.locale,
            is_active: state.is_active,
            time_zone: state.time_zone,
            role: state.role,
        })
    }
}

impl TryFrom<UserRegistered> for User {
    type Error = InvalidId;

    fn try_from(event: UserRegistered) -> Result<Self, InvalidId> {
        Ok(Self {
            id: event.user_id.parse()?,
            version: event.version,
            email: event.email,
            full_name: event.full_name,
            locale: event.locale,
            is_active: true,
            time_zone: event.time_zone,
            role: event.role,
        })
    }
}

impl TryFrom<UserUpdated> for User {
    type Error = InvalidId;

    fn try_from(event: UserUpdated) -> Result<Self, InvalidId> {
        Ok(Self {
            id: event.user_id.parse()?,
            version: event.version,
            email: event.email,
            full_name: event.full_name,
            locale: event.locale,
            is_active: event.is_active,
            time_zone: event.time_zone,
            role: event.role,
        })
    }
}
