use access_token::Caller;
use problem::{Problem, codes};
use typed_id::UserId;

use super::delete_me::erase;
use super::reach::Reach;
use super::second_factor;
use crate::app::Auth;
use crate::storage::operations::Operation;

/// Erases the account of somebody who asked for it by letter.
pub async fn delete_user(app: &Auth, caller: &Caller, id: UserId) -> Result<Operation, Problem> {
    second_factor::check_fresh(app, caller).await?;
    let own = caller.in_person()?.id;
    if own == id {
        // One's own goes by one's own route.
        return Err(Problem::new(&codes::PERMISSION_DENIED));
    }
    erase(app, Reach::of(app, caller).await?, own, id).await
}
