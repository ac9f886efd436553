//! The password of who is signed in, shown once more for what concerns the account itself.

use postgres::WriteTx;
use problem::{FieldError, Problem, codes};
use time::OffsetDateTime;
use typed_id::{SessionId, UserId};

use super::tries;
use crate::app::Auth;
use crate::domain::device::{self, Counted};
use crate::domain::email;
use crate::storage::users::User;
use crate::storage::{passwords, sign_in_tries};

/// One that was shown rightly.
#[derive(Debug)]
pub struct CurrentPassword {
    subject: Vec<u8>,
    set_at: Option<OffsetDateTime>,
}

impl CurrentPassword {
    pub async fn verify(app: &Auth, user: &User, session: SessionId, shown: &str) -> Result<Self, Problem> {
        // Who holds a session alone must not find the password out by trying.
        let subject = device::subject(&email::key(&user.email), Counted::Device(session.0.as_bytes()));
        tries::take(app, &subject).await?;
        let stored = passwords::of_user(app.db.primary(), user.id)
            .await
            .map_err(postgres::problem_of)?;
        let set_at = stored.as_ref().map(|stored| stored.set_at);
        let hash = stored.map(|stored| stored.hash);
        if app.passwords.verify(shown, hash).await?.matches {
            return Ok(Self { subject, set_at });
        }
        Err(wrong())
    }

    /// Under the account's lock: whether it is still the password. Then its owner has all tries again.
    pub async fn still_holds(&self, tx: &mut WriteTx, user: UserId) -> Result<bool, sqlx::Error> {
        let current = passwords::of_user(&mut **tx, user).await?;
        if current.map(|current| current.set_at) != self.set_at {
            return Ok(false);
        }
        sign_in_tries::reset(&mut **tx, &self.subject).await?;
        Ok(true)
    }
}

/// Not a 401, which tells a client that its token is no longer good.
pub fn wrong() -> Problem {
    let detail = "is not the password of this account";
    Problem::new(&codes::WRONG_PASSWORD).with_fields(vec![FieldError {
        field: "current_password".into(),
        code: codes::WRONG_PASSWORD.name.into(),
        detail: detail.into(),
    }])
}
