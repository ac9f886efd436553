use access_token::Caller;
use live::{Ticket, TicketError};
use problem::{Problem, codes};

use crate::app::Notification as App;

/// A ticket that opens one live socket in the caller's place.
pub async fn create_live_ticket(app: &App, caller: &Caller) -> Result<Ticket, Problem> {
    let user = caller.user()?;
    app.tickets.issue(user).await.map_err(|fault| match fault {
        TicketError::Away => {
            Problem::new(&codes::UNAVAILABLE).with_retry_after(std::time::Duration::from_secs(1))
        }
        fault => Problem::internal(fault),
    })
}
