//! What a file did to accounts, for the audit log: as the routes for one account tell it, and by which operation.

use serde_json::json;
use typed_id::UserId;
use uuid::Uuid;

use crate::storage::imports::{Known, Wanted};
use crate::storage::users::User;
use crate::usecases::audit::Act;

pub fn created(user: &User, operation: Uuid) -> Act {
    Act::on_user("user.created", user.id).with(json!({"role": user.role, "operation_id": operation}))
}

/// Only of the department it says from what to what, as the route does: the log outlives an erasure.
pub fn changed(before: &Known, after: &Wanted, operation: Uuid) -> Act {
    let compared = [
        ("full_name", &before.full_name, &after.full_name),
        ("department", &before.department, &after.department),
        ("student_id", &before.student_id, &after.student_id),
        ("external_id", &before.external_id, &after.external_id),
    ];
    let differing = compared.into_iter().filter(|(_, old, new)| old != new);
    let fields: Vec<&str> = differing.map(|(name, ..)| name).collect();
    let mut details = json!({"fields": fields, "operation_id": operation});
    let action = if before.department == after.department {
        "user.updated"
    } else {
        details["from"] = json!(before.department);
        details["to"] = json!(after.department);
        "user.department_changed"
    };
    Act::on_user(action, UserId(before.id)).with(details)
}

pub fn deactivated(id: Uuid, operation: Uuid) -> Act {
    Act::on_user("user.deactivated", UserId(id)).with(json!({"operation_id": operation}))
}
