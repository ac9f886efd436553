//! Whose account somebody is whom an identity provider vouches for.

use event_bus::outbox;
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use serde_json::json;
use typed_id::UserId;

use super::audit::{self, Act, Actor};
use super::events::{self, SecurityChange};
use crate::app::Auth;
use crate::config::OidcSettings;
use crate::domain::{email, name};
use crate::oidc::{Claims, Provider};
use crate::storage::identities::{self, NewIdentity};
use crate::storage::roles;
use crate::storage::users::{self, NewUser, User};

const MAX_NAME_CHARS: usize = 200;
/// A role with one of these is as good as admin, whatever it is called.
const LIKE_ADMIN: &[&str] = &[
    access_token::permissions::ROLES_WRITE,
    access_token::permissions::USERS_WRITE,
    access_token::permissions::USERS_IMPERSONATE,
];

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the provider vouches for no address that may sign in")]
    NoAddress,
    #[error("the address has an account whose owner has not proven it")]
    Unproven,
    #[error("the account is not active")]
    Inactive,
    #[error("somebody links the same at this moment")]
    Raced,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for LinkError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<LinkError> for Problem {
    fn from(fault: LinkError) -> Self {
        match fault {
            LinkError::NoAddress => Self::new(&codes::PROVIDER_EMAIL_UNVERIFIED),
            LinkError::Unproven => Self::new(&codes::ACCOUNT_NOT_LINKED),
            LinkError::Inactive => Self::new(&codes::INVALID_CREDENTIALS),
            LinkError::Raced => Self::new(&codes::CONFLICT),
            LinkError::Write(fault) => fault.into(),
        }
    }
}

/// Who it is, as far as a provider tells.
struct Vouched {
    provider: String,
    settings: OidcSettings,
    subject: String,
    /// Proven by the provider, and of a domain that it may vouch for.
    email: Option<String>,
    full_name: String,
    locale: &'static str,
    roles: Vec<String>,
}

/// The account: linked before, linked now by an address that both sides have proven, or made.
pub async fn account_of(app: &Auth, provider: &Provider, claims: &Claims) -> Result<UserId, Problem> {
    let vouched = Vouched::of(provider, claims);
    let found = app.db.write(move |mut tx| async move {
        let now = tx.clock().now();
        let known = identities::used(&mut tx, &vouched.settings.issuer, &vouched.subject, now).await?;
        if let Some(user) = known {
            // A provider that is restricted to domains is so for those who were linked before, too.
            if !vouched.settings.allowed_domains.is_empty() && vouched.email.is_none() {
                return Err(LinkError::NoAddress);
            }
            return Ok(tx.commit(user).await?);
        }
        let address = vouched.email.clone().ok_or(LinkError::NoAddress)?;
        let existing = users::by_email(&mut *tx, &email::key(&address)).await?;
        let is_new = existing.is_none();
        let user = match existing {
            Some(existing) => {
                let id = linkable(&mut tx, existing.id, &address).await?;
                // Another person of that provider signs in to it: an address that was given on does not give the account on.
                if identities::has_other(&mut tx, id, &vouched.settings.issuer, &vouched.subject).await? {
                    return Err(LinkError::Unproven);
                }
                id
            }
            None => create(&mut tx, &vouched, &address).await?,
        };
        let identity = NewIdentity {
            user,
            provider: &vouched.provider,
            issuer: &vouched.settings.issuer,
            subject: &vouched.subject,
            email: &address,
        };
        if !identities::insert(&mut tx, identity, now).await? {
            return Err(LinkError::Raced);
        }
        let act = Act::on_user("identity.linked", user).with(json!({"provider": vouched.provider}));
        audit::record(&mut *tx, Actor::user(user), act, now).await?;
        // Who has just got the account learns nothing new from it.
        if !is_new {
            events::security_changed(&mut tx, user, SecurityChange::IdentityLinked).await?;
        }
        Ok(tx.commit(user).await?)
    });
    Ok(found.await?)
}

/// The account of an address, unless whoever registered it may not be who has it.
async fn linkable(tx: &mut WriteTx, id: UserId, address: &str) -> Result<UserId, LinkError> {
    let user: User = users::lock(tx, id).await?.ok_or(LinkError::Raced)?;
    if !user.is_active {
        return Err(LinkError::Inactive);
    }
    // By the very address, not by its key: `admın@` is another mailbox than `admin@`.
    let is_same = user.email.trim().eq_ignore_ascii_case(address);
    if user.email_verified_at.is_none() || !is_same {
        return Err(LinkError::Unproven);
    }
    Ok(id)
}

async fn create(tx: &mut WriteTx, vouched: &Vouched, address: &str) -> Result<UserId, LinkError> {
    if !vouched.settings.create_accounts {
        return Err(LinkError::Unproven);
    }
    let now = tx.clock().now();
    let role = role_of(tx, vouched).await?;
    let new = NewUser {
        id: UserId::new(now),
        email: address,
        email_key: &email::key(address),
        full_name: &vouched.full_name,
        role: &role,
        locale: vouched.locale,
        email_verified_at: Some(now),
        department: "",
        student_id: "",
        now,
    };
    let user = users::insert(tx, &new).await?.ok_or(LinkError::Raced)?;
    outbox::append(tx, &events::registered(&user)).await?;
    let act =
        Act::on_user("user.created", user.id).with(json!({"role": user.role, "provider": vouched.provider}));
    audit::record(&mut **tx, Actor::NOBODY, act, now).await?;
    Ok(user.id)
}

/// The role that the provider's claim is mapped to, and never one that manages accounts.
async fn role_of(tx: &mut WriteTx, vouched: &Vouched) -> Result<String, sqlx::Error> {
    let mapped = vouched
        .roles
        .iter()
        .find_map(|value| vouched.settings.roles.get(value));
    let role = match mapped {
        Some(name) => roles::share(tx, name).await?,
        None => None,
    };
    let allowed = role.filter(|role| {
        role.name != "admin" && !role.permissions.iter().any(|p| LIKE_ADMIN.contains(&p.as_str()))
    });
    if let (Some(name), None) = (mapped, &allowed) {
        tracing::warn!(role = name, "a role that no identity provider can give");
    }
    Ok(allowed.map_or_else(|| "student".to_owned(), |role| role.name))
}

impl Vouched {
    fn of(provider: &Provider, claims: &Claims) -> Self {
        let settings = provider.settings();
        let email = claims
            .verified_email()
            .map(str::trim)
            .filter(|address| address.len() <= 254 && contracts::validate::is_email(address))
            .filter(|address| is_allowed(address, &settings.allowed_domains));
        let local = email.and_then(|address| address.split('@').next());
        let told: String = claims
            .name
            .as_deref()
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_NAME_CHARS)
            .collect();
        let is_english = claims.locale.as_deref().is_some_and(|l| l.starts_with("en"));
        let roles = claims.values(&settings.role_claim).into_iter();
        Self {
            provider: provider.name().to_owned(),
            subject: claims.sub.clone(),
            full_name: name::trimmed(&told).unwrap_or_else(|_| local.unwrap_or("?").to_owned()),
            locale: if is_english { "en" } else { "tr" },
            roles: roles.map(str::to_owned).collect(),
            email: email.map(str::to_owned),
            settings: settings.clone(),
        }
    }
}

fn is_allowed(address: &str, domains: &[String]) -> bool {
    let domain = address.rsplit('@').next().unwrap_or_default();
    domains.is_empty() || domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_the_very_one() {
        let allowed = ["okul.edu.tr".to_owned()];
        for (address, expected) in [
            ("ada@okul.edu.tr", true),
            ("ada@OKUL.edu.tr", true),
            ("ada@evil-okul.edu.tr", false),
            ("ada@sub.okul.edu.tr", false),
            ("ada@okul.edu.tr.evil.test", false),
            ("\"x@okul.edu.tr\"@evil.test", false),
        ] {
            assert_eq!(is_allowed(address, &allowed), expected, "{address}");
        }
        assert!(is_allowed("ada@anywhere.test", &[]));
    }
}
