//! Who teaches: the local projection, and one question to auth when it has not heard of somebody yet.

use contracts::auth::v1::BatchGetUsersRequest;
use contracts::auth::v1::rpc::BatchGetUsers;
use problem::Problem;
use typed_id::UserId;

use crate::app::Catalog;
use crate::storage::teachers;

/// Whether there is such a user; their name is kept on the way.
pub async fn is_known(app: &Catalog, id: UserId) -> Result<bool, Problem> {
    if teachers::name(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?
        .is_some()
    {
        return Ok(true);
    }
    let request = BatchGetUsersRequest { ids: vec![id.into()] };
    let answer = app
        .auth
        .call_as_service::<BatchGetUsers>(request)
        .await
        .map_err(Problem::from)?
        .into_inner();
    let Some(user) = answer.users.into_iter().next() else {
        return Ok(false);
    };
    let courses = teachers::upsert(app.db.primary(), id, user.version, &user.full_name)
        .await
        .map_err(postgres::problem_of)?;
    app.caching.forget(&courses).await;
    Ok(true)
}

/// Learns the caller's own name; a course without a name on it is better than no course while auth is away.
pub async fn learn(app: &Catalog, id: UserId) {
    if let Err(problem) = is_known(app, id).await {
        problem.log();
    }
}
