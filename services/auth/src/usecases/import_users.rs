mod acts;
mod rules;

use std::collections::HashMap;
use std::sync::Arc;

use access_token::{Caller, Revocation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::auth::v1::ImportUsersRequest;
use event_bus::outbox;
use people_files::{People, PersonRow, RowFault};
use postgres::{WriteError, WriteTx};
use problem::{Language, Problem, codes};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use typed_id::UserId;
use uuid::Uuid;

use super::audit::{self, Act, Actor};
use super::events::{self, MailError};
use super::list_departments::forget_departments;
use super::operations::LEASE;
use super::revoke;
use crate::app::Auth;
use crate::domain::email;
use crate::storage::imports::{self, Known, Wanted};
use crate::storage::operations::{self, Claimed, NewOperation, Operation};
use crate::storage::service_accounts;
use rules::{Accepted, Importer, Refusal, Verdict};

pub const KIND: &str = "user_import";
/// Lines in one transaction.
const BATCH: usize = 500;
const MAX_BYTES: usize = 10 << 20;

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub line: u64,
    pub email: String,
    /// `created`, `updated`, `unchanged`, `deactivated` or `refused`.
    pub outcome: &'static str,
    pub code: String,
    pub detail: String,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    dry_run: bool,
    created: usize,
    updated: usize,
    unchanged: usize,
    deactivated: usize,
    refused: usize,
    /// Columns that were not read.
    ignored_columns: Vec<String>,
    lines: Vec<Line>,
}

/// Begins to import a file. What is wrong with the file as a whole is said at once.
pub async fn import_users(
    app: &Auth,
    caller: &Caller,
    request: ImportUsersRequest,
) -> Result<Operation, Problem> {
    let owner = caller.user()?.id;
    let invalid = |field, code, detail| Problem::invalid_field(field, code, detail);
    let bytes = match (request.content.is_empty(), request.content_base64.is_empty()) {
        (false, true) => request.content.into_bytes(),
        (true, false) => STANDARD
            .decode(request.content_base64.as_bytes())
            .map_err(|_| invalid("content_base64", "base64.invalid", "has to be base64".to_owned()))?,
        _ => {
            let detail = "give either content or content_base64".to_owned();
            return Err(invalid("content", "required", detail));
        }
    };
    if bytes.len() > MAX_BYTES {
        return Err(Problem::new(&codes::PAYLOAD_TOO_LARGE));
    }
    if let Err(fault) = People::new(&bytes, email::key) {
        return Err(invalid("content", "file.unreadable", fault.detail));
    }
    let (now, actor) = (app.clock.now(), Actor::of(caller));
    let asked = json!({
        "dry_run": request.dry_run,
        "send_invitations": request.send_invitations.unwrap_or(true),
    });
    let mut options = asked.clone();
    // For what is told of the accounts, later on.
    options["impersonator_id"] = json!(actor.impersonator);
    // And to whom the report is.
    let language = request_context::with(|context| context.language);
    options["language"] = json!(language.as_str());
    let new = NewOperation {
        subject: None,
        id: typed_id::new_uuid(now),
        kind: KIND,
        owner,
        total: 0,
        input: Some(bytes),
        options,
        now,
    };
    let begun = app.db.write(move |mut tx| async move {
        let operation = operations::insert(&mut tx, &new).await?;
        let act = Act {
            action: "users.imported",
            target_kind: "operation",
            target_id: operation.id.to_string(),
            details: asked,
        };
        audit::record(&mut *tx, actor, act, now).await?;
        tx.commit(operation).await
    });
    let begun: Result<_, WriteError> = begun.await;
    app.wake_operations.notify_one();
    Ok(begun?)
}

/// Imports the file of an operation; its report.
pub async fn run(app: &Auth, claimed: Claimed, stop: &CancellationToken) -> Result<Vec<u8>, Problem> {
    let option = |name: &str| claimed.options[name].as_bool().unwrap_or_default();
    let (dry_run, invite) = (option("dry_run"), option("send_invitations"));
    let language = claimed.options["language"].as_str().unwrap_or_default();
    let language = Language::from_accept_language(language);
    let bytes = claimed.input.unwrap_or_default();
    let unreadable = |fault: RowFault| Problem::invalid_field("content", "file.unreadable", fault.detail);
    let people = People::new(&bytes, email::key).map_err(unreadable)?;
    let mut report = Report {
        dry_run,
        ignored_columns: people.ignored_columns().to_vec(),
        ..Report::default()
    };
    let impersonator = claimed.options["impersonator_id"].as_str();
    let impersonator = impersonator.and_then(|id| id.parse().ok());
    let importer = Importer::of(app, UserId(claimed.owner_id), impersonator).await?;
    let importer = Arc::new(importer);
    let rows: Vec<Result<PersonRow, RowFault>> = people.collect();
    let total = i32::try_from(rows.len()).unwrap_or(i32::MAX);
    for (number, rows) in rows.chunks(BATCH).enumerate() {
        let done = i32::try_from(number * BATCH).unwrap_or(i32::MAX);
        operations::progress(app.db.primary(), claimed.id, done, total, app.clock.now() + LEASE)
            .await
            .map_err(postgres::problem_of)?;
        if stop.is_cancelled() {
            return Err(Problem::new(&codes::OPERATION_TIMEOUT));
        }
        let mut accepted = Vec::new();
        for row in rows {
            match row.as_ref().map_err(of_fault).and_then(|row| importer.check(row)) {
                Ok(row) => accepted.push(row),
                Err(line) => report.lines.push(line),
            }
        }
        let batch = Batch {
            operation: claimed.id,
            importer: Arc::clone(&importer),
            rows: accepted,
            invite,
        };
        let lines = import_batch(app, batch, dry_run).await?;
        report.lines.extend(lines);
    }
    if !dry_run {
        forget_departments(app).await;
    }
    report.lines.sort_by_key(|line| line.line);
    let mut tell = language.teller();
    for line in report.lines.iter_mut().filter(|line| line.outcome == "refused") {
        line.detail = tell(&line.detail);
    }
    let count = |outcome: &str| report.lines.iter().filter(|line| line.outcome == outcome).count();
    (report.created, report.updated) = (count("created"), count("updated"));
    (report.unchanged, report.deactivated) = (count("unchanged"), count("deactivated"));
    report.refused = count("refused");
    serde_json::to_vec(&report).map_err(Problem::internal)
}

fn of_fault(fault: &RowFault) -> Line {
    Line {
        line: fault.line,
        email: fault.email.clone(),
        outcome: "refused",
        code: format!("{}.{}", fault.column, fault.code),
        detail: fault.detail.clone(),
    }
}

/// Rows that are imported together.
struct Batch {
    operation: Uuid,
    importer: Arc<Importer>,
    rows: Vec<Accepted>,
    invite: bool,
}

/// One transaction; a dry run rolls it back, so that it reports what would be.
async fn import_batch(app: &Auth, batch: Batch, dry_run: bool) -> Result<Vec<Line>, Problem> {
    if batch.rows.is_empty() {
        return Ok(Vec::new());
    }
    let ttl = app.settings.access.ttl();
    let imported = app.db.write(move |mut tx| async move {
        let (lines, entries) = import_rows(&mut tx, &batch, ttl).await?;
        if dry_run {
            return Ok(tx.rollback((lines, Vec::new())).await?);
        }
        Ok::<_, MailError>(tx.commit((lines, entries)).await?)
    });
    let (lines, entries) = imported.await?;
    revoke::announce(app, &entries).await;
    Ok(lines)
}

async fn import_rows(
    tx: &mut WriteTx,
    batch: &Batch,
    ttl: time::Duration,
) -> Result<(Vec<Line>, Vec<Revocation>), MailError> {
    let (rows, operation) = (&batch.rows, batch.operation);
    let keys: Vec<String> = rows.iter().map(|row| row.wanted.email_key.clone()).collect();
    let known: HashMap<String, Known> = imports::lock_known(tx, &keys)
        .await?
        .into_iter()
        .map(|known| (known.email_key.clone(), known))
        .collect();
    // After the locks: a token that was made while they were waited for is made before this.
    let now = tx.clock().now();
    let (mut new, mut changed, mut gone, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut told = Vec::new();
    for row in rows {
        let outcome = match known.get(&row.wanted.email_key) {
            None if row.deactivate => Ok("unchanged"),
            None => {
                new.push((UserId::new(now), row.wanted.clone()));
                Ok("created")
            }
            Some(found) => batch.importer.judge(row, found).map(|verdict| match verdict {
                Verdict::Leave => "unchanged",
                Verdict::Update(wanted) => {
                    told.push(acts::changed(found, &wanted, operation));
                    changed.push((found.id, wanted));
                    "updated"
                }
                Verdict::Deactivate => {
                    told.push(acts::deactivated(found.id, operation));
                    gone.push(found.id);
                    "deactivated"
                }
            }),
        };
        lines.push(line(row, outcome));
    }
    let hashes: HashMap<&str, &String> = rows
        .iter()
        .filter_map(|row| Some((row.wanted.email_key.as_str(), row.hash.as_ref()?)))
        .collect();
    let by_hash = |(_, wanted): &(UserId, Wanted)| hashes.contains_key(wanted.email_key.as_str());
    let (with_hash, without): (Vec<_>, Vec<_>) = new.into_iter().partition(by_hash);
    // Who brings a password along has shown the old system an address.
    let mut made = imports::insert(tx, &with_hash, Some(now), now).await?;
    let stored: Vec<(Uuid, String)> = made
        .iter()
        .filter_map(|user| {
            Some((
                user.id.0,
                (*hashes.get(email::key(&user.email).as_str())?).clone(),
            ))
        })
        .collect();
    imports::put_hashes(tx, &stored, now).await?;
    let invited = imports::insert(tx, &without, None, now).await?;
    if batch.invite {
        events::request_passwords(tx, &invited).await?;
    }
    made.extend(invited);
    let registered: Vec<_> = made.iter().map(events::registered).collect();
    outbox::append_all(tx, &registered).await?;
    told.extend(made.iter().map(|user| acts::created(user, operation)));
    let mut updated = imports::update(tx, &changed, now).await?;
    updated.extend(imports::deactivate(tx, &gone, now).await?);
    let updates: Vec<_> = updated.iter().map(events::updated).collect();
    outbox::append_all(tx, &updates).await?;
    audit::record_all(&mut **tx, batch.importer.actor(), told, now).await?;
    let mut ids = service_accounts::of_makers(tx, &gone).await?;
    ids.extend(gone.into_iter().map(UserId));
    let entries = revoke::of_users(&ids, now, ttl);
    revoke::record(tx, &entries).await?;
    Ok((lines, entries))
}

fn line(row: &Accepted, outcome: Result<&'static str, Refusal>) -> Line {
    let (code, detail) = outcome.err().unwrap_or_default();
    Line {
        line: row.line,
        email: row.wanted.email.clone(),
        outcome: outcome.unwrap_or("refused"),
        code: code.to_owned(),
        detail: detail.to_owned(),
    }
}
