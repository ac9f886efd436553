//! Between the contract's messages and the use cases' types.

use access_token::{Jwk, Revocation};
use contracts::auth::v1 as proto;
use contracts::fields;
pub use contracts::fields::id;
use contracts::timestamp;
use problem::Problem;
use time::OffsetDateTime;
use typed_id::{SessionId, UserId};

use crate::oidc::Provider;
use crate::storage::audit::Entry;
use crate::storage::identities::Identity;
use crate::storage::operations::Operation;
use crate::storage::roles::Role;
use crate::storage::service_accounts::ServiceAccount;
use crate::storage::sessions::Session;
use crate::storage::users::{Department, User};
use crate::usecases::grant::Tokens;
use crate::usecases::paging::Paging;

/// A moment that a query gives as text.
pub fn given_moment(field: &'static str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Problem> {
    text.map(|text| fields::moment(field, text)).transpose()
}

pub fn paging(size: Option<i32>, token: Option<&str>) -> Paging<'_> {
    Paging {
        size: postgres::page_size(size),
        token,
    }
}

pub fn jwk(key: Jwk) -> proto::Jwk {
    proto::Jwk {
        kty: key.kty,
        crv: key.crv,
        x: key.x,
        kid: key.kid,
        r#use: key.r#use,
        alg: key.alg,
    }
}

pub fn revocation(entry: Revocation) -> proto::Revocation {
    proto::Revocation {
        kind: entry.kind.as_str().to_owned(),
        subject: entry.subject,
        revoked_at: Some(timestamp(entry.revoked_at)),
        expires_at: Some(timestamp(entry.expires_at)),
    }
}

pub fn session(stored: Session, current: SessionId) -> proto::Session {
    proto::Session {
        id: stored.id.into(),
        device: stored.device,
        ip: stored.ip,
        current: stored.id == current,
        created_at: Some(timestamp(stored.created_at)),
        last_used_at: Some(timestamp(stored.last_used_at)),
        expires_at: Some(timestamp(stored.expires_at)),
    }
}

/// A session of somebody else.
pub fn foreign_session(stored: Session) -> proto::Session {
    let id = stored.id;
    proto::Session {
        current: false,
        ..session(stored, id)
    }
}

pub fn provider(provider: &Provider) -> proto::OidcProvider {
    let named = Some(provider.settings().display_name.as_str()).filter(|name| !name.is_empty());
    proto::OidcProvider {
        name: provider.name().to_owned(),
        display_name: named.unwrap_or(provider.name()).to_owned(),
    }
}

pub fn account_token((access_token, expires_in): (String, i32)) -> proto::AccountTokenResponse {
    proto::AccountTokenResponse {
        access_token,
        token_type: "Bearer".into(),
        expires_in,
    }
}

impl From<ServiceAccount> for proto::ServiceAccount {
    fn from(account: ServiceAccount) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name,
            permissions: account.permissions,
            created_at: Some(timestamp(account.created_at)),
            expires_at: Some(timestamp(account.expires_at)),
            last_used_at: account.last_used_at.map(timestamp),
        }
    }
}

impl From<Identity> for proto::Identity {
    fn from(identity: Identity) -> Self {
        Self {
            id: identity.id.to_string(),
            provider: identity.provider,
            email: identity.email,
            created_at: Some(timestamp(identity.created_at)),
            last_used_at: Some(timestamp(identity.last_used_at)),
        }
    }
}

impl From<Department> for proto::Department {
    fn from(department: Department) -> Self {
        Self {
            name: department.name,
            users: i32::try_from(department.users).unwrap_or(i32::MAX),
        }
    }
}

impl From<Entry> for proto::AuditEntry {
    fn from(entry: Entry) -> Self {
        let text = |id: Option<UserId>| id.map(|id| id.to_string()).unwrap_or_default();
        Self {
            id: entry.id.to_string(),
            at: Some(timestamp(entry.at)),
            actor_id: text(entry.actor_id),
            impersonator_id: text(entry.impersonator_id),
            action: entry.action,
            target_kind: entry.target_kind,
            target_id: entry.target_id,
            ip: entry.ip,
            request_id: entry.request_id,
            details: entry.details.to_string(),
        }
    }
}

impl From<Operation> for proto::Operation {
    fn from(operation: Operation) -> Self {
        let language = request_context::with(|context| context.language);
        let (fault_code, fault) = problem::told_fault(&operation.fault, language);
        let result_path = if operation.has_result {
            format!("/api/v1/operations/{}/result", operation.id)
        } else {
            String::new()
        };
        Self {
            id: operation.id.to_string(),
            kind: operation.kind,
            state: operation.state,
            done: operation.done,
            total: operation.total,
            created_at: Some(timestamp(operation.created_at)),
            finished_at: operation.finished_at.map(timestamp),
            result_path,
            fault_code: fault_code.to_owned(),
            fault,
        }
    }
}

impl From<User> for proto::User {
    fn from(user: User) -> Self {
        Self {
            id: user.id.into(),
            email: user.email,
            full_name: user.full_name,
            role: user.role,
            locale: user.locale,
            time_zone: user.time_zone,
            email_verified: user.email_verified_at.is_some(),
            is_active: user.is_active,
            created_at: Some(timestamp(user.created_at)),
            updated_at: Some(timestamp(user.updated_at)),
            totp_enabled: user.totp_enabled,
            department: user.department,
            student_id: user.student_id,
        }
    }
}

impl From<User> for proto::RegisterResponse {
    fn from(user: User) -> Self {
        let proto::User {
            id,
            email,
            full_name,
            role,
            locale,
            time_zone,
            email_verified,
            is_active,
            ..
        } = proto::User::from(user.clone());
        Self {
            id,
            email,
            full_name,
            role,
            locale,
            time_zone,
            email_verified,
            is_active,
            created_at: Some(timestamp(user.created_at)),
            updated_at: Some(timestamp(user.updated_at)),
        }
    }
}

impl From<User> for proto::UserState {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id.into(),
            email: user.email,
            full_name: user.full_name,
            locale: user.locale,
            role: user.role,
            email_verified: user.email_verified_at.is_some(),
            is_active: user.is_active,
            version: user.version,
            time_zone: user.time_zone,
        }
    }
}

impl From<Role> for proto::Role {
    fn from(role: Role) -> Self {
        Self {
            name: role.name,
            permissions: role.permissions,
            require_totp: role.require_totp,
            department_scoped: role.department_scoped,
        }
    }
}

impl From<Tokens> for proto::TokenResponse {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "Bearer".into(),
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token,
            user: Some(tokens.user.into()),
            device_token: tokens.device_token,
        }
    }
}
