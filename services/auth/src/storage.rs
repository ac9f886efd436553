//! The only SQL of this service.

pub mod audit;
pub mod credentials;
pub mod erasures;
pub mod identities;
pub mod imports;
pub mod keys;
pub mod oidc_sign_ins;
pub mod one_time_tokens;
pub mod operations;
pub mod passwords;
pub mod reach;
pub mod refresh_tokens;
pub mod revocations;
pub mod roles;
pub mod service_accounts;
pub mod sessions;
pub mod sign_in_tries;
pub mod totp;
pub mod users;
