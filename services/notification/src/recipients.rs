//! Who a user is: the local projection, and one question to auth when it has not heard of them yet.

use contracts::auth::v1::{BatchGetUsersRequest, UserState, rpc::BatchGetUsers};
use contracts::events::v1::{UserRegistered, UserUpdated};
use event_bus::HandlerError;
use postgres::WriteTx;
use rpc_client::RpcClient;
use typed_id::{InvalidId, UserId};

use crate::domain::message::{Locale, Recipient};
use crate::storage::users::{self, User};

/// The recipient; `None` when there is no such user any more, or an inactive one.
pub async fn find(tx: &mut WriteTx, auth: &RpcClient, id: UserId) -> Result<Option<Recipient>, HandlerError> {
    let mut known = users::by_id(&mut **tx, id).await?;
    if known.is_none() {
        let request = BatchGetUsersRequest { ids: vec![id.into()] };
        let answer = auth.call_as_service::<BatchGetUsers>(request).await;
        let answer = answer.map_err(|status| HandlerError::Transient(status.into()))?;
        if let Some(state) = answer.into_inner().users.into_iter().next() {
            let user = User::try_from(state).map_err(|fault| HandlerError::Poison(fault.into()))?;
            users::upsert(&mut **tx, &user).await?;
            known = Some(user);
        }
    }
    Ok(known.filter(|user| user.is_active).map(Recipient::from))
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
        })
    }
}
