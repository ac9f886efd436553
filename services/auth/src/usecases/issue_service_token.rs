use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use problem::{Problem, codes};
use secrecy::ExposeSecret;
use time::Duration;

use crate::app::Auth;

const TTL: Duration = Duration::minutes(10);

/// A token with which another process of ours, that shows its secret, calls one service; and its lifetime in seconds.
pub fn issue_service_token(
    app: &Auth,
    service: &str,
    secret: &str,
    called: &str,
) -> Result<(String, i32), Problem> {
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    let known = app.settings.service_secrets.get(service);
    // Compared by hash and in constant time, also where there is no such process.
    let expected = hash(known.map(ExposeSecret::expose_secret).unwrap_or_default());
    let same = verify_slices_are_equal(expected.as_ref(), hash(secret).as_ref()).is_ok();
    if known.is_none() || !same {
        return Err(Problem::new(&codes::INVALID_CREDENTIALS));
    }
    if !may_call(service, called) {
        return Err(Problem::new(&codes::PERMISSION_DENIED));
    }
    let token = app
        .keys
        .issue_service(service, called, TTL)
        .map_err(Problem::internal)?;
    Ok((token, i32::try_from(TTL.whole_seconds()).unwrap_or_default()))
}

/// Whether some RPC of the other lets the service call it.
fn may_call(service: &str, called: &str) -> bool {
    contracts::METHODS
        .iter()
        .any(|method| method.service == called && method.policy.lets(service))
}
