//! Who may begin when, and when a student sees what.

use time::{Duration, OffsetDateTime};

/// What decides whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptPolicy {
    pub opens_at: Option<OffsetDateTime>,
    pub closes_at: Option<OffsetDateTime>,
    /// 0: any number.
    pub max_attempts: i32,
    pub cooldown_seconds: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NotOpen,
    Exhausted,
    /// Until then.
    Cooldown(OffsetDateTime),
}

/// The number of the next attempt of somebody who has ended `ended` of them, the last one at that moment.
pub fn next_attempt(
    policy: &AttemptPolicy,
    ended: i32,
    last_ended_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<i32, Refusal> {
    let is_early = policy.opens_at.is_some_and(|at| now < at);
    let is_late = policy.closes_at.is_some_and(|at| now >= at);
    if is_early || is_late {
        return Err(Refusal::NotOpen);
    }
    if policy.max_attempts > 0 && ended >= policy.max_attempts {
        return Err(Refusal::Exhausted);
    }
    match last_ended_at.map(|at| at + Duration::seconds(policy.cooldown_seconds.into())) {
        Some(until) if now < until => Err(Refusal::Cooldown(until)),
        _ => Ok(ended + 1),
    }
}

/// Whether a student sees score and keys of an attempt that is over. `somebody_sits` tells whether anybody's attempt is open.
pub fn may_review(
    review_policy: &str,
    closes_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
    somebody_sits: bool,
) -> bool {
    match review_policy {
        "after_submit" => true,
        // An exam that never closes never opens its keys. Where the end is not hard, or with more time, some sit on beyond it.
        "after_close" => closes_at.is_some_and(|at| now >= at) && !somebody_sits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    proptest! {
        #[test]
        fn nobody_begins_too_early_too_late_too_often_or_too_soon(
            opens in prop::option::of(0..100_i64), closes in prop::option::of(0..100_i64), max_attempts in 0..4_i32,
            cooldown_seconds in 0..50_i32, ended in 0..5_i32, last in 0..100_i64, now in 0..100_i64,
        ) {
            let at = |seconds: i64| START + Duration::seconds(seconds);
            let policy = AttemptPolicy { opens_at: opens.map(at), closes_at: closes.map(at), max_attempts, cooldown_seconds };
            let last_ended_at = (ended > 0).then(|| at(last));
            let may = opens.is_none_or(|opens| now >= opens)
                && closes.is_none_or(|closes| now < closes)
                && (max_attempts == 0 || ended < max_attempts)
                && (ended == 0 || now >= last + i64::from(cooldown_seconds));
            let answer = next_attempt(&policy, ended, last_ended_at, at(now));
            prop_assert_eq!(answer.is_ok(), may, "{:?}", answer);
        }
    }

    #[test]
    fn keys_stay_closed_until_their_time() {
        let end = START + Duration::hours(1);
        assert!(!may_review("never", Some(START), end, false));
        assert!(may_review("after_submit", None, START, true));
        assert!(!may_review("after_close", Some(end), START, false));
        assert!(may_review("after_close", Some(end), end, false));
        assert!(!may_review("after_close", Some(end), end, true));
        assert!(!may_review("after_close", None, end, false));
    }
}
