use postgres::PageTokens;
use problem::{Problem, codes};
use time::{Duration, OffsetDateTime};
use typed_id::UserId;

use super::ChangeError;
use crate::app::Notification;
use crate::domain::message::MailKind;
use crate::domain::preference::Category;
use crate::storage::mails::Mail;
use crate::storage::preferences;

/// Mails are kept for long; their links need not work for ever.
const LIFETIME: Duration = Duration::days(90);
const SCOPE: &str = "unsubscribe";

/// Whose mails of what are turned off, and until when the token is good.
type Content = (UserId, String, i64);

/// The token of a mail; `None` for those that cannot be unsubscribed from.
pub fn token(seal: &PageTokens, mail: &Mail, now: OffsetDateTime) -> Option<String> {
    let content: Content = (
        mail.user_id,
        mail.topic.clone(),
        (now + LIFETIME).unix_timestamp(),
    );
    categories(&mail.topic).map(|_| seal.seal(SCOPE, &content))
}

/// Turns off the mails that the token is of, and takes back what waits of them. Again changes nothing.
pub async fn unsubscribe(app: &Notification, token: &str) -> Result<(), Problem> {
    let refused = || Problem::new(&codes::INVALID_ONE_TIME_TOKEN);
    let opened: Option<Content> = app.pages.open(SCOPE, Some(token)).map_err(|_| refused())?;
    let (user, topic, expires_at) = opened.ok_or_else(refused)?;
    let categories = categories(&topic).ok_or_else(refused)?;
    if app.clock.now().unix_timestamp() >= expires_at {
        return Err(refused());
    }
    let written = app.db.write(move |mut tx| async move {
        preferences::turn_off_mail(&mut tx, user, &categories).await?;
        preferences::cancel_mail(&mut tx, user, &categories).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    Ok(written.await?)
}

/// What a mail's topic stands for. Mails about the account cannot be turned off.
fn categories(topic: &str) -> Option<Vec<Category>> {
    if topic == MailKind::Digest.topic() {
        let all = Category::ALL.iter().copied();
        return Some(all.filter(|category| *category != Category::Account).collect());
    }
    Category::named(topic)
        .filter(|category| *category != Category::Account)
        .map(|category| vec![category])
}
