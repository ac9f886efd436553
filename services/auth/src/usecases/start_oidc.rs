use problem::Problem;
use time::Duration;

use crate::app::Auth;
use crate::domain::secret::{self, Kind};
use crate::oidc::{Authorization, Provider};
use crate::storage::oidc_sign_ins::{self, NewSignIn};

pub const LIFETIME: Duration = Duration::minutes(10);

/// A sign-in that was begun.
#[derive(Debug)]
pub struct Started {
    pub authorization_url: String,
    /// Kept by the client.
    pub verifier: String,
}

/// Begins a sign-in with an identity provider.
pub async fn start(app: &Auth, provider: &str, redirect_uri: Option<&str>) -> Result<Started, Problem> {
    let provider = app.providers.get(provider)?;
    let redirect_uri = redirect_uri_of(provider, redirect_uri)?;
    let state = secret::random(Kind::OidcState).map_err(Problem::internal)?;
    let verifier = secret::random(Kind::OidcVerifier).map_err(Problem::internal)?;
    let derived = Derived::of(app, &state);
    let authorization_url = provider
        .authorization_url(derived.authorization(&state, redirect_uri))
        .await?;
    let new = NewSignIn {
        state_hash: &secret::hash(&state),
        verifier_hash: &secret::hash(&verifier),
        provider: provider.name(),
        issuer: &provider.settings().issuer,
        redirect_uri,
        expires_at: app.clock.now() + LIFETIME,
    };
    oidc_sign_ins::insert(app.db.primary(), &new)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Started {
        authorization_url,
        verifier,
    })
}

fn redirect_uri_of<'a>(provider: &'a Provider, wanted: Option<&str>) -> Result<&'a str, Problem> {
    let mut known = provider.settings().redirect_uris.iter();
    let found = match wanted {
        None => known.next(),
        // Letter by letter: what is nearly ours is somebody else's.
        Some(wanted) => known.find(|known| *known == wanted),
    };
    found.map(String::as_str).ok_or_else(|| {
        Problem::invalid_field(
            "redirect_uri",
            "redirect_uri.unknown",
            "has to be one of those that are configured",
        )
    })
}

/// What follows from a state with a key of ours, so that none of it is stored.
pub struct Derived {
    nonce: String,
    verifier: String,
}

impl Derived {
    pub fn of(app: &Auth, state: &str) -> Self {
        Self {
            nonce: secret::derived(&app.oidc_key, "nonce", state),
            verifier: secret::derived(&app.oidc_key, "pkce", state),
        }
    }

    pub fn authorization<'a>(&'a self, state: &'a str, redirect_uri: &'a str) -> Authorization<'a> {
        Authorization {
            redirect_uri,
            state,
            nonce: &self.nonce,
            verifier: &self.verifier,
        }
    }
}
