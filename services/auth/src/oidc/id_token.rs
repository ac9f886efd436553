//! What makes an id token one (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::OidcError;

const MAX_BYTES: usize = 16 << 10;
const MAX_KEYS: usize = 64;
/// Clocks of others may differ by this much.
const LEEWAY_SECONDS: i64 = 60;
/// It was made for the sign-in that is going on.
const MAX_AGE_SECONDS: i64 = 600;

/// A key as a provider shows it; what is not known of it is not looked at.
#[derive(Debug, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    r#use: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

struct Key {
    kid: Option<String>,
    /// Said by the kind of the key, never by a token.
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// The keys that a provider signs with.
#[derive(Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Keys of other kinds are left out: symmetric ones above all.
    pub fn read(set: &[Value]) -> Self {
        let jwks = set
            .iter()
            .take(MAX_KEYS)
            .filter_map(|key| Jwk::deserialize(key).ok());
        Self(jwks.filter_map(key_of).collect())
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
        match kid {
            Some(kid) => fitting
                .find(|key| key.kid.as_deref() == Some(kid))
                .ok_or(TokenError::UnknownKey),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(TokenError::UnknownKey),
            },
        }
    }
}

fn key_of(jwk: Jwk) -> Option<Key> {
    let (algorithm, names, decoding): (_, &[&str], _) = match (jwk.kty.as_str(), jwk.crv.as_str()) {
        ("RSA", _) => (
            Algorithm::RS256,
            &["RS256"],
            DecodingKey::from_rsa_components(&jwk.n, &jwk.e),
        ),
        ("EC", "P-256") => (
            Algorithm::ES256,
            &["ES256"],
            DecodingKey::from_ec_components(&jwk.x, &jwk.y),
        ),
        ("OKP", "Ed25519") => (
            Algorithm::EdDSA,
            &["EdDSA", "Ed25519"],
            DecodingKey::from_ed_components(&jwk.x),
        ),
        _ => return None,
    };
    let is_ours = jwk.r#use.is_none_or(|usage| usage == "sig")
        && jwk.alg.is_none_or(|alg| names.contains(&alg.as_str()));
    is_ours.then_some(Key {
        kid: jwk.kid,
        algorithm,
        decoding: decoding.ok()?,
    })
}

#[derive(Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It names a key that is not known; the provider may have a new one.
    UnknownKey,
    Refused(&'static str),
}

impl From<TokenError> for OidcError {
    fn from(fault: TokenError) -> Self {
        match fault {
            TokenError::UnknownKey => Self::Refused("a key that the provider does not have"),
            TokenError::Refused(why) => Self::Refused(why),
        }
    }
}

/// What the token has to be about.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: OffsetDateTime,
}

/// What the provider says of who signed in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claims {
    pub sub: String,
    iss: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    azp: Option<String>,
    pub email: Option<String>,
    email_verified: Option<Flag>,
    pub name: Option<String>,
    pub locale: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Some providers write it as a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl Claims {
    /// The address, where the provider has proven it.
    pub fn verified_email(&self) -> Option<&str> {
        let verified = match &self.email_verified {
            Some(Flag::Bool(verified)) => *verified,
            Some(Flag::Text(text)) => text == "true",
            None => false,
        };
        self.email.as_deref().filter(|_| verified)
    }

    /// The values of a claim that is a text or a list of texts.
    pub fn values(&self, claim: &str) -> Vec<&str> {
        match self.rest.get(claim) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn check(&self, expected: Expected<'_>) -> Result<(), TokenError> {
        let refuse = |why| Err(TokenError::Refused(why));
        let now = expected.now.unix_timestamp();
        // No other audience is trusted, so that there is none beside us.
        let aud = match &self.aud {
            Audience::One(one) => one,
            Audience::Many(many) => match many.as_slice() {
                [one] => one,
                _ => return refuse("another number of audiences than one"),
            },
        };
        if self.iss != expected.issuer {
            return refuse("another issuer");
        }
        if aud != expected.client_id || self.azp.as_ref().is_some_and(|azp| azp != expected.client_id) {
            return refuse("another audience");
        }
        if self.exp <= now - LEEWAY_SECONDS {
            return refuse("expired");
        }
        let issued = now - MAX_AGE_SECONDS - LEEWAY_SECONDS..=now + LEEWAY_SECONDS;
        if !issued.contains(&self.iat) || self.nbf.is_some_and(|nbf| nbf > now + LEEWAY_SECONDS) {
            return refuse("not of this time");
        }
        let nonce = self.nonce.as_deref().unwrap_or_default();
        if verify_slices_are_equal(nonce.as_bytes(), expected.nonce.as_bytes()).is_err() {
            return refuse("another nonce");
        }
        if !(1..=255).contains(&self.sub.len()) || self.sub.contains('\0') {
            return refuse("no subject");
        }
        Ok(())
    }
}

/// The claims of a token that is signed by the provider, for us, for this sign-in, now.
pub fn verify(token: &str, keys: &Keys, expected: Expected<'_>) -> Result<Claims, TokenError> {
    if token.len() > MAX_BYTES {
        return Err(TokenError::Refused("too long"));
    }
    // `none` is no algorithm here: a header with it cannot be read.
    let header =
        jsonwebtoken::decode_header(token).map_err(|_| TokenError::Refused("an unreadable header"))?;
    if header.crit.is_some() {
        return Err(TokenError::Refused("a header with demands"));
    }
    if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) {
        return Err(TokenError::Refused("another algorithm"));
    }
    let key = keys.find(header.kid.as_deref(), header.alg)?;
    let mut validation = Validation::new(key.algorithm);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Times are judged below, by the injected clock.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
        .map_err(|_| TokenError::Refused("its signature, or claims that are none"))?
        .claims;
    claims.check(expected)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        /// Whatever a provider or a browser sends: refused, and no panic.
        #[test]
        fn no_text_is_a_token_without_a_key(text in "\\PC{0,200}|([A-Za-z0-9_-]{0,60}\\.){0,4}", kty in "RSA|EC|OKP|oct|\\PC{0,5}", part in "[A-Za-z0-9_=-]{0,50}") {
            let set = [json!({"kty": kty, "crv": "P-256", "n": part, "e": part, "x": part, "y": part}), json!(part)];
            let expected = Expected { issuer: "i", client_id: "c", nonce: "n", now: OffsetDateTime::UNIX_EPOCH };
            prop_assert!(verify(&text, &Keys::read(&set), expected).is_err());
        }
    }

    #[test]
    fn keys_of_other_kinds_and_uses_are_none() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let count = |key: Value| Keys::read(&[key]).0.len();
        assert_eq!(count(json!({"kty": "OKP", "crv": "Ed25519", "x": x})), 1);
        for wrong in [
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "enc"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "HS256"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "none"}),
            json!({"kty": "OKP", "crv": "X25519", "x": x}),
            json!({"kty": "RSA", "alg": "PS256", "n": x, "e": "AQAB"}),
            json!({"kty": "oct", "k": x}),
        ] {
            assert_eq!(count(wrong.clone()), 0, "{wrong}");
        }
    }
}
