//! Personal data (KVKK, GDPR) as every service treats it: a table says what is held, and how it is erased.

use contracts::events::v1::{UserDataErased, UserErased};
use contracts::privacy::v1::personal_data_service_server::{PersonalDataService, PersonalDataServiceServer};
use contracts::privacy::v1::{ExportPersonalDataRequest, ExportPersonalDataResponse};
use event_bus::{Delivery, HandlerError, Subscription, outbox};
use postgres::{Database, WriteTx};
use problem::Problem;
use serde_json::{Map, Value};
use service_runtime::Runtime;
use service_runtime::grpc::admit;
use sqlx::AssertSqlSafe;
use tonic::{Request, Response, Status};
use typed_id::UserId;

/// Of a kind. Nobody has as many.
const MAX_ROWS: usize = 50_000;
/// Room for those rows in one answer.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// What a service holds of people.
#[derive(Debug, Clone, Copy)]
pub struct PersonalData {
    pub service: &'static str,
    /// Names of kinds, with the query for their rows; `$1` is the user.
    pub held: &'static [(&'static str, &'static str)],
    /// Statements that remove it, in this order; `$1` is the user.
    pub erase: &'static [&'static str],
    /// Statements for rows that have to stay without what tells who it is; `$1` is the user, `$2` the version of the account.
    pub blank: &'static [&'static str],
}

/// Serves exports and obeys erasures.
pub fn serve(runtime: &mut Runtime, data: PersonalData) {
    let db = runtime.database().clone();
    runtime.grpc(|routes| {
        let server = PersonalDataServiceServer::new(Server { db, data });
        routes.add_service(server.max_encoding_message_size(MAX_MESSAGE_BYTES));
    });
    runtime.consume(subscription(data));
}

/// The queue `<service>.erasures`.
pub fn subscription(data: PersonalData) -> Subscription {
    Subscription::new(data.service, "erasures")
        .on::<UserErased, _>(move |tx, delivery| Box::pin(erased(tx, delivery, data)))
}

async fn erased(
    tx: &mut WriteTx,
    delivery: Delivery<UserErased>,
    data: PersonalData,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let user: UserId = event
        .user_id
        .parse()
        .map_err(|fault: typed_id::InvalidId| HandlerError::Poison(fault.into()))?;
    erase(tx, user, event.version, data).await?;
    let answer = UserDataErased {
        user_id: event.user_id,
        service: data.service.to_owned(),
    };
    outbox::append(tx, &answer).await?;
    Ok(())
}

/// Removes what is held of a user.
pub async fn erase(
    tx: &mut WriteTx,
    user: UserId,
    version: i32,
    data: PersonalData,
) -> Result<(), sqlx::Error> {
    for statement in data.erase {
        sqlx::query(AssertSqlSafe(*statement))
            .bind(user.0)
            .execute(&mut **tx)
            .await?;
    }
    for statement in data.blank {
        sqlx::query(AssertSqlSafe(*statement))
            .bind(user.0)
            .bind(version)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// All that is held of a user: a list of rows under the name of each kind.
pub async fn export(
    db: &Database,
    user: UserId,
    data: PersonalData,
) -> Result<Map<String, Value>, sqlx::Error> {
    let mut all = Map::new();
    for (kind, query) in data.held {
        let statement =
            format!("SELECT coalesce(jsonb_agg(to_jsonb(held)), '[]') FROM ({query} LIMIT {MAX_ROWS}) held");
        let rows: Value = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(user.0)
            .fetch_one(db.primary())
            .await?;
        all.insert((*kind).to_owned(), rows);
    }
    Ok(all)
}

struct Server {
    db: Database,
    data: PersonalData,
}

#[tonic::async_trait]
impl PersonalDataService for Server {
    async fn export_personal_data(
        &self,
        request: Request<ExportPersonalDataRequest>,
    ) -> Result<Response<ExportPersonalDataResponse>, Status> {
        let (_, req) = admit(request)?;
        let user = req
            .user_id
            .parse()
            .map_err(|_| Problem::invalid_field("user_id", "string.uuid", "has to be a UUID"))?;
        let held = export(&self.db, user, self.data)
            .await
            .map_err(postgres::problem_of)?;
        Ok(Response::new(ExportPersonalDataResponse {
            data: Value::Object(held).to_string(),
        }))
    }
}
