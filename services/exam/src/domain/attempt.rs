//! The states of an attempt: open -> submitted -> graded | expired.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Open,
    /// Waits for grading by hand.
    Submitted,
    Graded,
    /// Ended by the server without an answer.
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    Student,
    Server,
}

impl ClosedBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Server => "server",
        }
    }
}

impl State {
    pub const ALL: [Self; 4] = [Self::Open, Self::Submitted, Self::Graded, Self::Expired];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Submitted => "submitted",
            Self::Graded => "graded",
            Self::Expired => "expired",
        }
    }

    pub fn is_over(self) -> bool {
        self != Self::Open
    }

    /// The state after the hand-in of an open attempt.
    pub fn after_close(by: ClosedBy, answered: i32, waits_for_person: bool) -> Self {
        match by {
            ClosedBy::Server if answered == 0 => Self::Expired,
            _ if waits_for_person => Self::Submitted,
            _ => Self::Graded,
        }
    }

    /// Whether more time opens it again: the student had not handed in, the server had.
    pub fn may_reopen(self, by: Option<ClosedBy>) -> bool {
        self.is_over() && by == Some(ClosedBy::Server)
    }

    #[cfg(test)]
    /// Whether an attempt ever moves so. From `open` only a hand-in leads on; back only more time.
    pub fn may_become(self, to: Self) -> bool {
        match (self, to) {
            // A regrade may ask for a person again, or no more.
            (Self::Open, Self::Submitted | Self::Graded | Self::Expired)
            | (Self::Submitted | Self::Graded, Self::Submitted | Self::Graded)
            | (Self::Submitted | Self::Graded | Self::Expired, Self::Open) => true,
            (from, to) => from == to,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No state has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state of an attempt")]
pub struct UnknownState;

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownState)
    }
}

impl FromStr for ClosedBy {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        [Self::Student, Self::Server]
            .into_iter()
            .find(|by| by.as_str() == text)
            .ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Close(ClosedBy, i32, bool),
        Regrade(bool),
        Extend,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let by = prop_oneof![Just(ClosedBy::Student), Just(ClosedBy::Server)];
        let step = prop_oneof![
            (by, 0..3_i32, any::<bool>()).prop_map(|(by, answered, waits)| Step::Close(by, answered, waits)),
            any::<bool>().prop_map(Step::Regrade),
            Just(Step::Extend),
        ];
        prop::collection::vec(step, 0..20)
    }

    proptest! {
        #[test]
        fn every_run_follows_the_arrows(steps in steps()) {
            let (mut state, mut by) = (State::Open, None);
            for step in steps {
                let next = match step {
                    Step::Close(closer, answered, waits) if state == State::Open => {
                        by = Some(closer);
                        State::after_close(closer, answered, waits)
                    }
                    Step::Regrade(waits) if matches!(state, State::Submitted | State::Graded) => {
                        if waits { State::Submitted } else { State::Graded }
                    }
                    Step::Extend if state.may_reopen(by) => {
                        by = None;
                        State::Open
                    }
                    _ => state,
                };
                prop_assert!(state.may_become(next), "{state} -> {next}");
                prop_assert!(!(state.is_over() && next == State::Open && by == Some(ClosedBy::Student)), "a hand-in is final");
                state = next;
            }
        }
    }

    #[test]
    fn names_round_trip() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("closed".parse::<State>().is_err());
    }
}
