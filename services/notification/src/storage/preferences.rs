use std::collections::HashMap;

use postgres::WriteTx;
use sqlx::PgConnection;
use typed_id::UserId;
use uuid::Uuid;

use crate::domain::preference::{Category, Channel, Frequency, Preferences};
use crate::domain::schedule::{QuietHours, Zone};

/// What decides when and how a user is told.
#[derive(Debug, Clone)]
pub struct Wishes {
    pub preferences: Preferences,
    pub zone: Zone,
}

/// Everybody's wishes; who never said any has the defaults, and who was erased has none. Two queries.
pub async fn of_users(db: &mut PgConnection, users: &[Uuid]) -> Result<HashMap<Uuid, Wishes>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT asked.id AS "id!", u.time_zone AS "time_zone?", q.from_minutes AS "from_minutes?",
                  q.to_minutes AS "to_minutes?"
           FROM unnest($1::uuid[]) AS asked (id)
           LEFT JOIN notification.users u ON u.id = asked.id
           LEFT JOIN notification.quiet_hours q ON q.user_id = asked.id
           WHERE NOT EXISTS (SELECT FROM notification.erased_users e WHERE e.user_id = asked.id)"#,
        users,
    )
    .fetch_all(&mut *db)
    .await?;
    let mut zones: HashMap<String, Zone> = HashMap::new();
    let mut wishes: HashMap<Uuid, Wishes> = rows
        .into_iter()
        .map(|row| {
            let name = row.time_zone.unwrap_or_default();
            let zone = zones
                .entry(name)
                .or_insert_with_key(|name| Zone::named(name))
                .clone();
            let quiet = row.from_minutes.zip(row.to_minutes);
            let quiet = quiet.and_then(|(from, to)| QuietHours::new(from, to));
            let preferences = Preferences::default().with_quiet(quiet);
            (row.id, Wishes { preferences, zone })
        })
        .collect();
    let rows = sqlx::query!(
        "SELECT user_id, category, channel, frequency FROM notification.preferences WHERE user_id = ANY ($1)",
        users,
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let cell = (
            Category::named(&row.category),
            Channel::named(&row.channel),
            Frequency::named(&row.frequency),
        );
        if let (Some(wishes), (Some(category), Some(channel), Some(frequency))) =
            (wishes.get_mut(&row.user_id), cell)
            && let Err(fault) = wishes.preferences.choose(category, channel, frequency)
        {
            tracing::warn!(user_id = %row.user_id, error = &fault as &dyn std::error::Error, "a choice is ignored");
        }
    }
    Ok(wishes)
}

/// Replaces all choices.
pub async fn replace(tx: &mut WriteTx, user: UserId, preferences: &Preferences) -> Result<(), sqlx::Error> {
    // Serialises with other changes of the same user: the last one wins as a whole.
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        user.to_string()
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("DELETE FROM notification.preferences WHERE user_id = $1", user.0)
        .execute(&mut **tx)
        .await?;
    sqlx::query!("DELETE FROM notification.quiet_hours WHERE user_id = $1", user.0)
        .execute(&mut **tx)
        .await?;
    let all: Vec<_> = preferences.all().collect();
    let categories: Vec<&str> = all.iter().map(|(category, ..)| category.as_str()).collect();
    let channels: Vec<&str> = all.iter().map(|(_, channel, _)| channel.as_str()).collect();
    let frequencies: Vec<&str> = all.iter().map(|(.., frequency)| frequency.as_str()).collect();
    sqlx::query!(
        "INSERT INTO notification.preferences (user_id, category, channel, frequency)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])",
        user.0,
        &categories as &[&str],
        &channels as &[&str],
        &frequencies as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    if let Some((from, to)) = preferences.quiet.map(QuietHours::minutes) {
        sqlx::query!(
            "INSERT INTO notification.quiet_hours (user_id, from_minutes, to_minutes) VALUES ($1, $2, $3)",
            user.0,
            from,
            to,
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Turns off the mails of these categories.
pub async fn turn_off_mail(
    tx: &mut WriteTx,
    user: UserId,
    categories: &[Category],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO notification.preferences (user_id, category, channel, frequency)
         SELECT $1, category, 'email', 'off' FROM unnest($2::text[]) AS category
         ON CONFLICT (user_id, category, channel) DO UPDATE SET frequency = 'off'",
        user.0,
        &names(categories) as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes back what waits of these categories.
pub async fn cancel_mail(tx: &mut WriteTx, user: UserId, categories: &[Category]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.mails SET state = 'cancelled', text_body = '', html_body = ''
         WHERE user_id = $1 AND state = 'pending' AND topic = ANY ($2)",
        user.0,
        &names(categories) as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "DELETE FROM notification.digest_items WHERE user_id = $1 AND category = ANY ($2)",
        user.0,
        &names(categories) as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn names(categories: &[Category]) -> Vec<&'static str> {
    categories.iter().map(|category| category.as_str()).collect()
}
