//! What every RPC says about itself; see `proto/sc/http/v1/policy.proto`.

/// One RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// `sc.auth.v1.AuthService`
    pub package_service: &'static str,
    /// The process that serves it: `auth`.
    pub service: &'static str,
    /// `Login`
    pub name: &'static str,
    /// `/sc.auth.v1.AuthService/Login`
    pub path: &'static str,
    pub policy: Policy,
    /// `None` for RPCs between services.
    pub http: Option<HttpRule>,
}

impl Method {
    /// Whether `Idempotency-Key` is honoured: on each POST but sign-ins, whose answers are not to be given again (ADR 29).
    pub fn is_keyed(&self) -> bool {
        let is_sign_in = self.policy.auth == Auth::Public && self.policy.sensitive;
        self.http.is_some_and(|http| http.verb == "POST") && !is_sign_in
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpRule {
    /// In upper case.
    pub verb: &'static str,
    /// With `{name}` for what is bound.
    pub path: &'static str,
    pub has_body: bool,
    /// Names of the query parameters.
    pub query: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub auth: Auth,
    /// The services that may call an RPC between services; see [`Policy::lets`].
    pub callers: &'static [&'static str],
    /// What the caller's token has to carry, such as `courses:write`.
    pub permission: Option<&'static str>,
    pub rate_class: RateClass,
    pub cache: Option<CachePolicy>,
    /// HTTP status of success.
    pub success_status: u16,
    /// Repeating has no further effect, so that it may be retried.
    pub idempotent: bool,
    /// Template of the `Location` header.
    pub location: Option<&'static str>,
    /// The answer holds credentials.
    pub sensitive: bool,
    pub max_body_bytes: usize,
    /// The body is not read, whatever it is.
    pub ignores_body: bool,
    /// The body may be a file as it is; see [`crate::FILE_TYPES`].
    pub takes_file: bool,
}

/// For what stands around a file.
const ENVELOPE_BYTES: usize = 64 << 10;

impl Policy {
    /// Largest body of JSON: in base64 a file is a third longer.
    pub fn max_json_bytes(&self) -> usize {
        if self.takes_file {
            self.max_body_bytes.div_ceil(3) * 4 + ENVELOPE_BYTES
        } else {
            self.max_body_bytes
        }
    }

    /// Largest form with a file.
    pub fn max_form_bytes(&self) -> usize {
        self.max_body_bytes + ENVELOPE_BYTES
    }

    /// Whether the service may call with a service token.
    pub fn lets(&self, service: &str) -> bool {
        self.auth == Auth::Service && self.callers.iter().any(|caller| [service, "*"].contains(caller))
    }
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    Public,
    Optional,
    Required,
    /// Another service of ours, with a service token.
    Service,
}

/// How long an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePolicy {
    pub ttl_seconds: u32,
    pub per_user: bool,
    /// Callers with it are never served from a cache that is shared.
    pub except_permission: Option<&'static str>,
}

/// The named token bucket that a call draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateClass {
    ApiRead,
    ApiWrite,
    Login,
    Register,
    PasswordReset,
    Exam,
    Progress,
}

impl RateClass {
    pub const ALL: [Self; 7] = [
        Self::ApiRead,
        Self::ApiWrite,
        Self::Login,
        Self::Register,
        Self::PasswordReset,
        Self::Exam,
        Self::Progress,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiRead => "api_read",
            Self::ApiWrite => "api_write",
            Self::Login => "login",
            Self::Register => "register",
            Self::PasswordReset => "password_reset",
            Self::Exam => "exam",
            Self::Progress => "progress",
        }
    }
}
