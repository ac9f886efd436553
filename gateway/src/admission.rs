//! Who may pass, and how often.

mod limits;

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use access_token::Caller;
use contracts::{Auth, Method, RateClass};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use problem::{Problem, codes};
use rate_limit::{Bucket, Decision};
use request_context::bearer;

use crate::app::Gateway;
pub use limits::Limits;

/// A request that may go on.
pub struct Admitted {
    /// The token to pass on.
    pub token: Option<Arc<str>>,
    pub caller: Caller,
}

/// Authenticates, limits and checks the policy, in this order: the limit is the user's where there is one, and a wrong token
/// counts against its address. Headers of the limit are given also when the request is refused.
pub async fn admit(
    gateway: &Gateway,
    method: &'static Method,
    headers: &HeaderMap,
) -> (Option<Limits>, Result<Admitted, Problem>) {
    let authenticated = authenticate(gateway, method, headers).await;
    let caller = authenticated
        .as_ref()
        .map_or(&Caller::Anonymous, |(caller, _)| caller);
    let (limits, allowed) = limit(gateway, method.policy.rate_class, caller).await;
    if let Err(problem) = allowed {
        return (limits, Err(problem));
    }
    let admitted = authenticated.and_then(|(caller, token)| {
        match method.policy.permission {
            Some(permission) if !caller.has(permission) => {
                return Err(Problem::new(&codes::PERMISSION_DENIED));
            }
            _ => {}
        }
        Ok(Admitted { token, caller })
    });
    (limits, admitted)
}

async fn authenticate(
    gateway: &Gateway,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Caller, Option<Arc<str>>), Problem> {
    if method.policy.auth == Auth::Public {
        return Ok((Caller::Anonymous, None));
    }
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return match method.policy.auth {
            Auth::Optional => Ok((Caller::Anonymous, None)),
            _ => Err(Problem::new(&codes::UNAUTHENTICATED)),
        };
    };
    // Of two tokens somebody before us may have believed the other one.
    if given.next().is_some() {
        return Err(Problem::new(&codes::INVALID_TOKEN));
    }
    let token = value
        .to_str()
        .ok()
        .and_then(bearer)
        .ok_or_else(|| Problem::new(&codes::INVALID_TOKEN))?;
    match gateway.verifier.verify(token).await? {
        // A service token is for the inside; the edge takes users' alone.
        Caller::Service(_) => Err(Problem::new(&codes::INVALID_TOKEN)),
        caller => Ok((caller, Some(token.into()))),
    }
}

/// Takes a token of the class, and tells how many are left where there is a limit.
pub async fn limit(
    gateway: &Gateway,
    class: RateClass,
    caller: &Caller,
) -> (Option<Limits>, Result<(), Problem>) {
    let Some(decision) = decide(gateway, class, caller).await else {
        return (None, Ok(()));
    };
    let limits = Some(Limits { class, decision });
    if decision.allowed {
        return (limits, Ok(()));
    }
    metrics::counter!("rate_limited_total", "class" => class.as_str()).increment(1);
    let problem = Problem::new(&codes::RATE_LIMITED).with_retry_after(decision.retry_after);
    (limits, Err(problem))
}

async fn decide(gateway: &Gateway, class: RateClass, caller: &Caller) -> Option<Decision> {
    if !gateway.rates.enabled {
        return None;
    }
    let ip = counted_as(request_context::with(|context| context.client_ip)?);
    let key = match caller {
        Caller::User(user) => key(format_args!("user:{}:{}", user.id, class.as_str())),
        _ => key(format_args!("ip:{ip}:{}", class.as_str())),
    };
    let edge = Bucket {
        key: self::key(format_args!("ip:{ip}")),
        limit: gateway.rates.edge,
    };
    let of_class = Bucket {
        key,
        limit: gateway.rates.of(class),
    };
    let buckets = [edge, of_class];
    match class {
        // Guesses at a password are worth asking everybody's count for.
        RateClass::Login | RateClass::Register | RateClass::PasswordReset => {
            Box::pin(gateway.limiter.check(&buckets)).await
        }
        _ => gateway.limiter.check_near(&buckets).await,
    }
}

/// Of a bucket, in one allocation.
fn key(of: fmt::Arguments<'_>) -> String {
    let mut key = String::with_capacity(80);
    key.push_str("ratelimit:");
    // Text takes any text.
    let _ = key.write_fmt(of);
    key
}

/// Whoever has one IPv6 address has 2^64 of them: they share what their network may have.
pub fn counted_as(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        for (ip, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ] {
            let counted: IpAddr = counted.parse().unwrap();
            assert_eq!(counted_as(ip.parse().unwrap()), counted);
        }
    }
}
