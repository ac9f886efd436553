//! Between the contract's messages and the use cases' types.

use std::str::FromStr;

use contracts::fields;
pub use contracts::fields::id;
use contracts::reporting::v1::{self as proto, ListActivityResponse};
use contracts::{auth, timestamp};
use problem::Problem;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::storage::activity::Activity;
use crate::storage::operations::Operation;
use crate::usecases::list_activity::{Page, Paging};

pub fn optional_id<T: FromStr>(field: &'static str, text: Option<&str>) -> Result<Option<T>, Problem> {
    text.map(|text| id(field, text)).transpose()
}

pub fn moment(field: &'static str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Problem> {
    text.map(|text| fields::moment(field, text)).transpose()
}

pub fn paging(size: Option<i32>, token: Option<String>) -> Paging {
    Paging {
        size: postgres::page_size(size),
        token,
    }
}

impl From<Page> for ListActivityResponse {
    fn from(page: Page) -> Self {
        Self {
            activities: page.activities.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }
    }
}

impl From<Activity> for proto::Activity {
    fn from(activity: Activity) -> Self {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        Self {
            id: activity.id.to_string(),
            at: Some(timestamp(activity.at)),
            kind: activity.kind,
            user_id: text(activity.user_id),
            course_id: text(activity.course_id),
            subject_id: activity.subject_id.to_string(),
            details: activity.details.to_string(),
            actor_id: text(activity.actor_id),
        }
    }
}

impl From<Operation> for auth::v1::Operation {
    fn from(operation: Operation) -> Self {
        let language = request_context::with(|context| context.language);
        let (fault_code, fault) = problem::told_fault(&operation.fault, language);
        let result_path = if operation.state == "succeeded" {
            format!("/api/v1/operations/{}/result", operation.id)
        } else {
            String::new()
        };
        Self {
            id: operation.id.to_string(),
            kind: "report".to_owned(),
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
