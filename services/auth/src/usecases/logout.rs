use access_token::Caller;
use problem::Problem;

use super::audit::Actor;
use super::sessions::end_sessions;
use crate::app::Auth;

/// Ends the caller's session: its access and refresh tokens stop at once.
pub async fn logout(app: &Auth, caller: &Caller) -> Result<(), Problem> {
    let user = caller.user()?;
    end_sessions(app, Actor::of(caller), user.id, Some(user.session_id), None).await?;
    Ok(())
}
