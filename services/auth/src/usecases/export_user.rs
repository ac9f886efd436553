use access_token::Caller;
use problem::{Problem, codes};
use typed_id::UserId;

use super::export_me::begin;
use super::reach::{Reach, ReachError};
use super::second_factor;
use crate::app::Auth;
use crate::storage::erasures;
use crate::storage::operations::Operation;

/// Begins to gather all that is held of somebody who asked for it by letter. The result is the caller's.
pub async fn export_user(app: &Auth, caller: &Caller, id: UserId) -> Result<Operation, Problem> {
    second_factor::check_fresh(app, caller).await?;
    let own = caller.in_person()?.id;
    if own == id {
        // One's own goes by one's own route.
        return Err(Problem::new(&codes::PERMISSION_DENIED));
    }
    let reach = Reach::of(app, caller).await?;
    let services = app.data_holders.len() + 1;
    let begun = app.db.write(move |mut tx| async move {
        reach.lock_managed(&mut tx, id).await?;
        if erasures::is_erased(&mut tx, id).await? {
            return Err(ReachError::NotFound);
        }
        let operation = begin(&mut tx, own, Some(id), services, reach.actor).await?;
        Ok(tx.commit(operation).await?)
    });
    let begun = begun.await?;
    app.wake_operations.notify_one();
    Ok(begun)
}
