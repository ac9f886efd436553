//! The audit log: written in the transaction of what it tells of.

use access_token::Caller;
use problem::Problem;
use serde_json::Value;
use sqlx::PgExecutor;
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

use super::paging::{Page, Paging};
use crate::app::Auth;
use crate::storage::audit::{self, Entry, Filter};

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    pub user: Option<UserId>,
    pub impersonator: Option<UserId>,
}

impl Actor {
    /// The system itself, or nobody who is known.
    pub const NOBODY: Self = Self {
        user: None,
        impersonator: None,
    };

    pub fn of(caller: &Caller) -> Self {
        match caller {
            Caller::User(user) => Self {
                user: Some(user.id),
                impersonator: user.impersonator,
            },
            _ => Self::NOBODY,
        }
    }

    pub fn user(id: UserId) -> Self {
        Self {
            user: Some(id),
            impersonator: None,
        }
    }
}

/// What was done to whom.
#[derive(Debug, Clone)]
pub struct Act {
    pub action: &'static str,
    pub target_kind: &'static str,
    pub target_id: String,
    pub details: Value,
}

impl Act {
    pub fn on_user(action: &'static str, id: UserId) -> Self {
        Self {
            action,
            target_kind: "user",
            target_id: id.to_string(),
            details: Value::Object(serde_json::Map::new()),
        }
    }

    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

/// Adds a line. Address and request id are those of the request that is served.
pub async fn record(
    db: impl PgExecutor<'_>,
    actor: Actor,
    act: Act,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    audit::insert(db, &entry(actor, act, now)).await
}

/// The same for several at once, in one statement.
pub async fn record_all(
    db: impl PgExecutor<'_>,
    actor: Actor,
    acts: Vec<Act>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    if acts.is_empty() {
        return Ok(());
    }
    let entries: Vec<Entry> = acts.into_iter().map(|act| entry(actor, act, now)).collect();
    audit::insert_all(db, &entries).await
}

fn entry(actor: Actor, act: Act, now: OffsetDateTime) -> Entry {
    let context = request_context::current();
    Entry {
        id: typed_id::new_uuid(now),
        at: now,
        actor_id: actor.user,
        impersonator_id: actor.impersonator,
        action: act.action.to_owned(),
        target_kind: act.target_kind.to_owned(),
        target_id: act.target_id,
        ip: context.client_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        request_id: context.request_id.map(|id| id.to_string()).unwrap_or_default(),
        details: act.details,
    }
}

/// The log, newest first. One query.
pub async fn list(
    app: &Auth,
    filter: Filter,
    Paging { size, token }: Paging<'_>,
) -> Result<Page<Entry>, Problem> {
    let scope = format!("audit:{filter:?}");
    let before: Option<Uuid> = app.pages.open(&scope, token)?;
    let rows = audit::page(app.db.primary(), &filter, before, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Page::cut(app, &scope, rows, size, |entry| entry.id))
}
