//! Work that outlives its request: begun in the transaction of the request, done by whichever instance is free, begun again by
//! another when that one dies.

use std::sync::Arc;

use access_token::{Caller, permissions};
use contracts::files::v1::File;
use contracts::operations::v1::rpc::{GetHeldOperation, GetHeldOperationResult};
use contracts::operations::v1::{GetHeldOperationRequest, GetHeldOperationResultRequest};
use contracts::{Rpc, auth::v1 as proto};
use problem::{Problem, codes};
use request_context::RequestContext;
use time::Duration;
use tokio_util::sync::CancellationToken;
use typed_id::UserId;
use uuid::Uuid;

use super::reach::Reach;
use super::{export_me, import_users};
use crate::app::Auth;
use crate::storage::operations::{self, Claimed, Operation};

/// Renewed with each step.
pub const LEASE: Duration = Duration::seconds(60);
const MAX_TRIES: i32 = 3;
const PERIOD: std::time::Duration = std::time::Duration::from_secs(2);
/// Of a result, in one answer: a whole one may be longer than a message can be. As long as the parts of files elsewhere.
const PART_BYTES: i32 = 4 << 20;

/// An operation of this service, or else one of the caller's that another service holds: all have one space of ids.
pub async fn find(app: &Auth, caller: &Caller, id: Uuid) -> Result<proto::Operation, Problem> {
    match operation(app, caller, id).await {
        Err(problem) if problem.code() == &codes::NOT_FOUND => {
            let request = GetHeldOperationRequest {
                id: id.to_string(),
                user_id: caller.user()?.id.to_string(),
            };
            ask_holders::<GetHeldOperation>(app, request).await
        }
        own => own.map(Into::into),
    }
}

/// A part of the result of such an operation.
pub async fn find_result(app: &Auth, caller: &Caller, id: Uuid, part: i32) -> Result<File, Problem> {
    match result(app, caller, id, part).await {
        Err(problem) if problem.code() == &codes::NOT_FOUND => {
            let request = GetHeldOperationResultRequest {
                id: id.to_string(),
                user_id: caller.user()?.id.to_string(),
                part,
            };
            ask_holders::<GetHeldOperationResult>(app, request).await
        }
        own => own,
    }
}

/// Asks whoever has operations of its own, until one knows. That one is away is no reason to say that there is none.
async fn ask_holders<R: Rpc>(app: &Auth, request: R::Request) -> Result<R::Response, Problem> {
    for holder in &app.operation_holders {
        let token = app.keys.issue_service("auth", holder.name(), LEASE);
        let context = RequestContext {
            authorization: Some(token.map_err(Problem::internal)?.as_str().into()),
            ..request_context::current()
        };
        let answer = request_context::scope(context, holder.call::<R>(request.clone())).await;
        match answer.map_err(Problem::from) {
            Err(problem) if problem.code() == &codes::NOT_FOUND => {}
            answer => return Ok(answer?.into_inner()),
        }
    }
    Err(Problem::new(&codes::NOT_FOUND))
}

/// An operation of the caller's, or anybody's for those who may write users. What one may not know of is not there.
pub async fn operation(app: &Auth, caller: &Caller, id: Uuid) -> Result<Operation, Problem> {
    let user = caller.user()?;
    let found = operations::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    let found = found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    if found.owner_id == user.id {
        // What was gathered of others is for who may still gather it.
        let is_own = found.subject_id.is_none() || user.has(permissions::PERSONAL_DATA_MANAGE);
        return is_own
            .then_some(found)
            .ok_or_else(|| Problem::new(&codes::NOT_FOUND));
    }
    // A report names people of every department.
    let is_open = found.kind != export_me::KIND
        && user.has(permissions::USERS_WRITE)
        && Reach::of(app, caller).await?.department().is_none();
    if is_open {
        Ok(found)
    } else {
        Err(Problem::new(&codes::NOT_FOUND))
    }
}

/// A part of the result, counted from 0, with the name that the whole is saved under.
pub async fn result(app: &Auth, caller: &Caller, id: Uuid, part: i32) -> Result<File, Problem> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let operation = operation(app, caller, id).await?;
    // No result is that long.
    let skipped = part.checked_mul(PART_BYTES).ok_or_else(not_found)?;
    let piece = operations::result(app.db.primary(), id, skipped, PART_BYTES)
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(not_found)?;
    if part > 0 && piece.content.is_empty() {
        return Err(not_found());
    }
    let is_last = piece.bytes - skipped <= PART_BYTES;
    Ok(File {
        content_type: "application/json".into(),
        name: format!("{}-{id}.json", operation.kind),
        content: piece.content,
        next_part: if is_last { 0 } else { part + 1 },
    })
}

/// Works on operations until the process stops.
pub async fn run(app: Arc<Auth>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match work_once(&app).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(fault) => tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "no operation was taken up"
            ),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = app.wake_operations.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Takes up one operation. False when there is none.
pub async fn work_once(app: &Auth) -> Result<bool, sqlx::Error> {
    let now = app.clock.now();
    let Some(claimed) = operations::claim(app.db.primary(), now, now + LEASE).await? else {
        return Ok(false);
    };
    let (id, tries) = (claimed.id, claimed.tries);
    // The process's end cuts nothing short here: the lease passes to another.
    let process = CancellationToken::new();
    let worked = app
        .operation_limits
        .run(&process, |stop| work(app, claimed, stop))
        .await;
    let ended = match worked {
        Ok(ended) => ended,
        Err(overdue) => {
            tracing::warn!(operation = %id, error = &overdue as &dyn std::error::Error, "an operation took too long");
            let fault = codes::OPERATION_TIMEOUT.name;
            operations::fail(app.db.primary(), id, fault, app.clock.now()).await?;
            return Ok(true);
        }
    };
    match ended {
        Ok(result) => operations::succeed(app.db.primary(), id, &result, app.clock.now()).await?,
        Err(problem) => {
            problem.log();
            // A fault of the moment passes with the lease; one of the input does not.
            if tries >= MAX_TRIES || problem.kind() == problem::Kind::Invalid {
                let text = problem.detail().unwrap_or(problem.code().en).to_owned();
                operations::fail(app.db.primary(), id, &text, app.clock.now()).await?;
            }
        }
    }
    Ok(true)
}

async fn work(app: &Auth, claimed: Claimed, stop: CancellationToken) -> Result<Vec<u8>, Problem> {
    match claimed.kind.as_str() {
        import_users::KIND => import_users::run(app, claimed, &stop).await,
        export_me::KIND => {
            let user = UserId(claimed.subject_id.unwrap_or(claimed.owner_id));
            export_me::run(app, claimed.id, user, &stop).await
        }
        other => Err(Problem::internal(format!("an operation of kind {other}"))),
    }
}
