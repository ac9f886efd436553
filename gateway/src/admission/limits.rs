//! What an answer tells of its limit: `X-RateLimit-*` (C-RL-03) and the fields of the IETF draft.

use std::cell::RefCell;
use std::fmt::{self, Write};

use bytes::BytesMut;
use contracts::RateClass;
use http::{HeaderMap, HeaderName, HeaderValue};
use rate_limit::{Decision, Limit};

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Room for three values with the largest numbers.
const LONGEST: usize = 128;

/// A decision over a request of the class.
pub struct Limits {
    pub class: RateClass,
    pub decision: Decision,
}

/// What is told of a limit each time. It changes with the settings alone.
struct Told {
    class: &'static str,
    limit: Limit,
    capacity: HeaderValue,
    policy: HeaderValue,
}

thread_local! {
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
}

impl Limits {
    pub fn write(&self, headers: &mut HeaderMap) {
        let Decision {
            limit,
            remaining,
            reset_after,
            ..
        } = self.decision;
        // The first bucket is the edge's.
        let class = if self.decision.bucket == 0 {
            "edge"
        } else {
            self.class.as_str()
        };
        let reset = reset_after.as_secs_f64().ceil() as u64;
        if let Some((capacity, policy)) = told(class, limit) {
            headers.insert(&LIMIT, capacity);
            headers.insert(&POLICY, policy);
        }
        let mut text = BytesMut::with_capacity(LONGEST);
        let mut put = |name: &HeaderName, value: fmt::Arguments<'_>| {
            if let Some(value) = value_of(&mut text, value) {
                headers.insert(name, value);
            }
        };
        put(&REMAINING, format_args!("{remaining}"));
        put(&RESET, format_args!("{reset}"));
        put(&LEFT, format_args!("\"{class}\";r={remaining};t={reset}"));
    }
}

/// The capacity and the policy of the limit.
fn told(class: &'static str, limit: Limit) -> Option<(HeaderValue, HeaderValue)> {
    TOLD.with_borrow_mut(|told| {
        let known = told
            .iter()
            .find(|told| told.class == class && told.limit == limit);
        if let Some(known) = known {
            return Some((known.capacity.clone(), known.policy.clone()));
        }
        // A bucket as a quota: all that it holds, and how long it takes to fill.
        let (quota, refill) = (u64::from(limit.capacity), u64::from(limit.refill.max(1)));
        let window = (quota * u64::from(limit.period_seconds)).div_ceil(refill);
        let policy = format!("\"{class}\";q={quota};w={window}");
        let new = Told {
            class,
            limit,
            capacity: limit.capacity.into(),
            policy: policy.try_into().ok()?,
        };
        let values = (new.capacity.clone(), new.policy.clone());
        told.push(new);
        Some(values)
    })
}

/// The text as a value that shares its memory with the others of the answer.
fn value_of(text: &mut BytesMut, value: fmt::Arguments<'_>) -> Option<HeaderValue> {
    text.write_fmt(value).ok()?;
    HeaderValue::from_maybe_shared(text.split().freeze()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_tells_the_limit_and_what_is_left_of_it() {
        let limits = |bucket, capacity, remaining| Limits {
            class: RateClass::Exam,
            decision: Decision {
                allowed: true,
                bucket,
                limit: Limit {
                    capacity,
                    refill: 7,
                    period_seconds: 60,
                },
                remaining,
                reset_after: Duration::from_millis(1_500),
                retry_after: Duration::ZERO,
            },
        };
        for (limits, expected) in [
            (
                limits(0, 5, 4),
                ["5", "4", "2", "\"edge\";q=5;w=43", "\"edge\";r=4;t=2"],
            ),
            (
                limits(1, 5, 3),
                ["5", "3", "2", "\"exam\";q=5;w=43", "\"exam\";r=3;t=2"],
            ),
            (
                limits(1, 6, u32::MAX),
                [
                    "6",
                    "4294967295",
                    "2",
                    "\"exam\";q=6;w=52",
                    "\"exam\";r=4294967295;t=2",
                ],
            ),
        ] {
            let mut headers = HeaderMap::new();
            limits.write(&mut headers);
            let written = [&LIMIT, &REMAINING, &RESET, &POLICY, &LEFT].map(|name| &headers[name]);
            assert_eq!(written, expected);
        }
    }
}
