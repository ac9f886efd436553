use access_token::Revocation;
use problem::Problem;
use time::OffsetDateTime;

use crate::app::Auth;
use crate::storage::revocations;

/// Live revocations written since a moment, and the database's clock before they were read.
pub async fn list_revocations(
    app: &Auth,
    since: Option<OffsetDateTime>,
) -> Result<(Vec<Revocation>, OffsetDateTime), Problem> {
    let read = async {
        let as_of = revocations::clock(app.db.primary()).await?;
        Ok((
            revocations::since(app.db.primary(), since, app.clock.now()).await?,
            as_of,
        ))
    };
    read.await.map_err(postgres::problem_of)
}
