//! The demo accounts.

use event_bus::outbox;
use service_runtime::{Runtime, demo};

use crate::app::Auth;
use crate::config::Settings;
use crate::domain::email;
use crate::key_commands::KeysAction;
use crate::storage::passwords;
use crate::storage::users::{self, NewUser};
use crate::usecases::registered_event;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the demo accounts (never in production); those that are there stay.
    SeedDemo,
    /// Look at the keys that sign tokens, or take one out of use.
    Keys {
        #[command(subcommand)]
        action: KeysAction,
    },
}

pub async fn seed(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
    demo::refuse_in_production(runtime.env())?;
    make_accounts(&Auth::new(runtime, settings)?).await
}

pub async fn make_accounts(app: &Auth) -> anyhow::Result<()> {
    app.ensure_roles().await?;
    let hash = app.passwords.hash(demo::PASSWORD).await?;
    let now = app.clock.now();
    for account in demo::ACCOUNTS {
        let hash = hash.clone();
        app.db
            .write(move |mut tx| async move {
                let new = NewUser {
                    id: account.id,
                    email: account.email,
                    email_key: &email::key(account.email),
                    full_name: account.full_name,
                    role: account.role,
                    locale: "tr",
                    email_verified_at: Some(now),
                    department: "",
                    student_id: "",
                    now,
                };
                // Under whatever address it has by now.
                if users::by_id(&mut *tx, account.id).await?.is_some() {
                    return tx.rollback(()).await;
                }
                if let Some(user) = users::insert(&mut tx, &new).await? {
                    passwords::set(&mut tx, user.id, &hash, now).await?;
                    outbox::append(&mut tx, &registered_event(&user)).await?;
                }
                tx.commit(()).await
            })
            .await?;
    }
    Ok(())
}
