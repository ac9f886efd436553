//! Access tokens say what was true when they were made: the account and its role are locked meanwhile, so that whoever changes
//! them revokes these tokens too.

use access_token::{UserToken, permissions};
use postgres::WriteTx;
use problem::Problem;
use time::OffsetDateTime;
use typed_id::{SessionId, TokenId, UserId};

use crate::app::Auth;
use crate::storage::roles;
use crate::storage::users::{self, User};

/// What a client gets when it signs in or renews.
#[derive(Debug)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in: i32,
    pub refresh_token: String,
    /// Empty when the tokens were renewed.
    pub device_token: String,
    pub user: User,
}

/// An active account that a token may be made for.
#[derive(Debug)]
pub struct Holder {
    pub user: User,
    permissions: Vec<String>,
    /// When the token is issued: under the locks, so that a later change revokes it.
    pub at: OffsetDateTime,
}

/// `None` when the account is gone or not active. Takes its locks before any session's.
pub async fn holder(tx: &mut WriteTx, id: UserId) -> Result<Option<Holder>, sqlx::Error> {
    let Some(user) = users::share(tx, id).await?.filter(|user| user.is_active) else {
        return Ok(None);
    };
    let role = roles::share(tx, &user.role).await?;
    let permissions = match role {
        Some(role) if user.totp_enabled || !role.require_totp => role.permissions,
        _ => Vec::new(),
    };
    Ok(Some(Holder {
        user,
        permissions,
        at: tx.clock().now(),
    }))
}

impl Holder {
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|own| own == permission)
    }

    /// What the holder has of some permissions.
    pub fn of(&self, permissions: &[String]) -> Vec<String> {
        permissions::common(permissions, &self.permissions)
    }

    /// Signs an access token; after the commit.
    pub fn access_token(
        &self,
        app: &Auth,
        session: SessionId,
        impersonator: Option<UserId>,
    ) -> Result<String, Problem> {
        let token = UserToken {
            user_id: self.user.id,
            session_id: session,
            impersonator,
            token_id: TokenId::new(self.at),
            roles: std::slice::from_ref(&self.user.role),
            permissions: &self.permissions,
            now: self.at,
            ttl: app.settings.access.ttl(),
        };
        app.keys.issue_user(&token).map_err(Problem::internal)
    }

    pub fn tokens(
        self,
        app: &Auth,
        session: SessionId,
        refresh_token: String,
        device_token: String,
    ) -> Result<Tokens, Problem> {
        Ok(Tokens {
            access_token: self.access_token(app, session, None)?,
            expires_in: app.settings.access.ttl_seconds,
            refresh_token,
            device_token,
            user: self.user,
        })
    }
}
