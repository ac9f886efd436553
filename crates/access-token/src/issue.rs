//! Issuing tokens: auth alone does it.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use time::{Duration, OffsetDateTime};
use typed_id::{SessionId, TokenId, UserId};

use crate::claims::audience_of_service;
use crate::{Claims, Jwk, TokenKind};

#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    #[error("a key could not be made")]
    Generate,
    #[error("the stored key cannot be read")]
    Read,
    #[error("a token could not be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// A private Ed25519 key with its id.
pub struct SigningKey {
    kid: String,
    pkcs8: Vec<u8>,
    encoding: EncodingKey,
    public: Vec<u8>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    pub fn generate(kid: &str) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SigningKeyError::Generate)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| SigningKeyError::Generate)?;
        Self::from_pkcs8(kid, pkcs8.as_ref())
    }

    pub fn from_pkcs8(kid: &str, pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| SigningKeyError::Read)?;
        Ok(Self {
            kid: kid.to_owned(),
            pkcs8: pkcs8.to_vec(),
            encoding: EncodingKey::from_ed_der(pkcs8),
            public: pair.public_key().as_ref().to_vec(),
        })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The private key; for storing it encrypted.
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub fn public_jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: URL_SAFE_NO_PAD.encode(&self.public),
            kid: self.kid.clone(),
            r#use: "sig".into(),
            alg: "EdDSA".into(),
        }
    }
}

/// What a user's token says.
#[derive(Debug, Clone)]
pub struct UserToken<'a> {
    pub user_id: UserId,
    pub session_id: SessionId,
    /// Who acts as the user.
    pub impersonator: Option<UserId>,
    pub token_id: TokenId,
    pub roles: &'a [String],
    pub permissions: &'a [String],
    pub now: OffsetDateTime,
    pub ttl: Duration,
}

/// Signs tokens with one key.
#[derive(Debug)]
pub struct Issuer {
    key: SigningKey,
    issuer: String,
    audience: String,
}

impl Issuer {
    pub fn new(key: SigningKey, issuer: &str, audience: &str) -> Self {
        Self {
            key,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
        }
    }

    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    pub fn issue_user(&self, token: &UserToken<'_>) -> Result<String, SigningKeyError> {
        let mut claims = self.claims(token.user_id.to_string(), token.token_id, token.now, token.ttl);
        claims.sid = Some(token.session_id.to_string());
        claims.act = token.impersonator.map(|id| id.to_string());
        claims.roles = token.roles.to_vec();
        claims.scope = token.permissions.join(" ");
        self.sign(TokenKind::User, &claims)
    }

    /// A token with which one process of ours calls one other.
    pub fn issue_service(
        &self,
        name: &str,
        called: &str,
        now: OffsetDateTime,
        ttl: Duration,
    ) -> Result<String, SigningKeyError> {
        let mut claims = self.claims(format!("service:{name}"), TokenId::new(now), now, ttl);
        claims.aud = audience_of_service(&self.audience, called);
        self.sign(TokenKind::Service, &claims)
    }

    fn claims(&self, sub: String, id: TokenId, now: OffsetDateTime, ttl: Duration) -> Claims {
        Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub,
            sid: None,
            act: None,
            jti: id.to_string(),
            iat: now.unix_timestamp(),
            iat_us: i64::try_from(now.unix_timestamp_nanos() / 1_000).unwrap_or_default(),
            nbf: now.unix_timestamp(),
            exp: (now + ttl).unix_timestamp(),
            roles: Vec::new(),
            scope: String::new(),
        }
    }

    pub(crate) fn sign(&self, kind: TokenKind, claims: &Claims) -> Result<String, SigningKeyError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(kind.typ().to_owned());
        header.kid = Some(self.key.kid.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.key.encoding)?)
    }
}
