//! The state machine of an enrolment.

use std::fmt;
use std::str::FromStr;

/// The state of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Active,
    /// Barred by staff for a while; the seat is kept.
    Suspended,
    Completed,
    /// Left by the student or taken out by staff.
    Dropped,
    /// Ended by time.
    Expired,
}

impl Status {
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Suspended,
        Self::Completed,
        Self::Dropped,
        Self::Expired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Completed => "completed",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
        }
    }

    /// Whether staff may move an enrolment from this state to `next`. Staying is always allowed and changes nothing.
    pub fn may_become(self, next: Self) -> bool {
        use Status::{Active, Completed, Dropped, Expired, Suspended};
        match (self, next) {
            _ if self == next => true,
            (Active, Suspended | Completed | Dropped | Expired)
            | (Suspended, Active | Dropped | Expired)
            // A completion by mistake can be taken back; a completed course is never dropped.
            | (Completed | Dropped | Expired, Active) => true,
            _ => false,
        }
    }

    /// Whether it counts against the course's seats.
    pub fn takes_seat(self) -> bool {
        matches!(self, Self::Active | Self::Suspended)
    }

    /// Whether a student may enrol again from this state.
    pub fn may_enroll_again(self) -> bool {
        matches!(self, Self::Dropped | Self::Expired)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state of an enrolment")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_status() -> impl Strategy<Value = Status> {
        proptest::sample::select(&Status::ALL[..])
    }

    proptest! {
        #[test]
        fn text_round_trips(status in any_status()) {
            prop_assert_eq!(status.as_str().parse::<Status>(), Ok(status));
        }

        #[test]
        fn a_walk_along_allowed_moves_never_drops_a_completed_course(steps in prop::collection::vec(any_status(), 0..50)) {
            let mut at = Status::Active;
            for next in steps {
                if at.may_become(next) {
                    prop_assert!(!(at == Status::Completed && next == Status::Dropped));
                    at = next;
                }
            }
            // From every reachable state there is a way back to `active`.
            prop_assert!(at.may_become(Status::Active));
        }

        #[test]
        fn who_may_enrol_again_takes_no_seat(status in any_status()) {
            prop_assert!(!(status.may_enroll_again() && status.takes_seat()));
        }
    }
}
