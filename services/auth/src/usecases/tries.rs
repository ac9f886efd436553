//! How often a password may be tried, whoever asks and wherever from.

use std::time::Duration;

use problem::{Problem, codes};

use crate::app::Auth;
use crate::storage::sign_in_tries::{self, Limit};

/// Ten at once, then five a minute.
const LIMIT: Limit = Limit {
    burst: 10.0,
    per_second: 5.0 / 60.0,
};
const RETRY_AFTER: Duration = Duration::from_secs(12);

/// Takes a try before anything is hashed.
pub async fn take(app: &Auth, subject: &[u8]) -> Result<(), Problem> {
    let taken = sign_in_tries::take(app.db.primary(), subject, LIMIT, app.clock.now())
        .await
        .map_err(postgres::problem_of)?;
    if taken {
        return Ok(());
    }
    metrics::counter!("sign_ins_throttled_total").increment(1);
    Err(Problem::new(&codes::RATE_LIMITED).with_retry_after(RETRY_AFTER))
}
