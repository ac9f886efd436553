//! The operator's commands about the keys that sign tokens.

use crate::app::Auth;
use crate::storage::keys;
use crate::usecases::withdraw_key::withdraw_key;

#[derive(Debug, clap::Subcommand)]
pub enum KeysAction {
    /// Show the keys that are published.
    List,
    /// Take a key out of use at once, as when it has leaked: what it signed is refused everywhere within seconds, people stay
    /// signed in, and another key signs.
    Withdraw {
        /// The id of the key (`kid`), as `list` shows it.
        kid: String,
    },
}

#[expect(clippy::print_stdout, reason = "answers of the command line")]
pub async fn run(app: &Auth, action: KeysAction) -> anyhow::Result<()> {
    match action {
        KeysAction::List => {
            let now = app.clock.now();
            for key in keys::live(app.db.primary(), now).await? {
                println!(
                    "{}  signs from {}  published until {}",
                    key.kid, key.signs_from, key.retires_at
                );
            }
        }
        KeysAction::Withdraw { kid } => {
            withdraw_key(app, &kid).await?;
            println!("{kid} is withdrawn");
        }
    }
    Ok(())
}
