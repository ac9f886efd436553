use serde::{Deserialize, Serialize};

/// What a token is for, as its header's `typ` says. One kind is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// `at+jwt` (RFC 9068): a user's.
    User,
    /// `svc+jwt`: a process of ours, working for nobody in particular.
    Service,
}

impl TokenKind {
    pub fn typ(self) -> &'static str {
        match self {
            Self::User => "at+jwt",
            Self::Service => "svc+jwt",
        }
    }

    pub fn from_typ(typ: &str) -> Option<Self> {
        [Self::User, Self::Service]
            .into_iter()
            .find(|kind| kind.typ() == typ)
    }
}

/// The audience of a service token: the one service that it may be shown to.
pub(crate) fn audience_of_service(audience: &str, service: &str) -> String {
    format!("{audience}/{service}")
}

/// The claims of a token. Times are seconds since the epoch; a time as text does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    /// The API; for a service token the one service that is called, as `<API>/<service>`.
    pub aud: String,
    /// The user's id, or `service:<name>`.
    pub sub: String,
    /// The session; absent for services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Who acts as `sub` (RFC 8693, section 4.1, without its nesting).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<String>,
    pub jti: String,
    pub iat: i64,
    /// When it was issued, in microseconds: a token issued in the second of a revocation is judged rightly.
    #[serde(default)]
    pub iat_us: i64,
    pub nbf: i64,
    pub exp: i64,
    #[serde(default)]
    pub roles: Vec<String>,
    /// Permissions, separated by spaces (RFC 8693, section 4.2).
    #[serde(default)]
    pub scope: String,
}

impl Claims {
    /// When it was issued, in microseconds, as well as the token tells.
    pub(crate) fn issued_us(&self) -> i64 {
        if self.iat_us > 0 {
            self.iat_us
        } else {
            self.iat * 1_000_000
        }
    }
}
