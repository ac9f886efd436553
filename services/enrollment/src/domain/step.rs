//! What a wish for a state, of a student or of a row of an imported roster, does to an enrolment.

use super::status::Status;

/// How many seats are left; nothing when there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats(Option<i64>);

impl Seats {
    pub fn left(limit: Option<i32>, taken: i64) -> Self {
        Self(limit.map(|limit| i64::from(limit) - taken))
    }

    fn take(&mut self) -> bool {
        match &mut self.0 {
            Some(left) if *left <= 0 => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    fn give_back(&mut self) {
        self.0 = self.0.map(|left| left + 1);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Stay,
    Enroll(Status),
    /// Out of a state in which one is not enrolled.
    EnrollAgain,
    Move {
        from: Status,
        to: Status,
    },
    Refuse(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    CourseFull,
    Suspended,
    Illegal { from: Status, to: Status },
}

/// The step from the state that an enrolment has, if there is one, to that of the row; a row without a state enrols.
pub fn step(had: Option<Status>, wanted: Option<Status>, seats: &mut Seats) -> Step {
    let to = match (had, wanted) {
        // A roster tells who is in the course; it takes no completion back.
        (Some(Status::Completed), None | Some(Status::Active))
        // There is nothing to leave.
        | (None, Some(Status::Dropped | Status::Expired)) => return Step::Stay,
        // Only a row that says so lets in again who is barred.
        (Some(Status::Suspended), None) => return Step::Refuse(Refusal::Suspended),
        (_, wanted) => wanted.unwrap_or(Status::Active),
    };
    let next = match had {
        None => Step::Enroll(to),
        Some(from) if from == to => return Step::Stay,
        Some(from) if !from.may_become(to) => return Step::Refuse(Refusal::Illegal { from, to }),
        Some(from) if from.may_enroll_again() => Step::EnrollAgain,
        Some(from) => Step::Move { from, to },
    };
    match (had.is_some_and(Status::takes_seat), to.takes_seat()) {
        (false, true) if !seats.take() => return Step::Refuse(Refusal::CourseFull),
        (true, false) => seats.give_back(),
        _ => {}
    }
    next
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn any_status() -> impl Strategy<Value = Status> {
        proptest::sample::select(&Status::ALL[..])
    }

    proptest! {
        #[test]
        fn seats_are_exact_and_the_same_file_again_changes_nothing(
            had in prop::collection::btree_map(0..20_u8, any_status(), 0..20),
            rows in prop::collection::btree_map(0..20_u8, prop::option::of(any_status()), 0..20),
            limit in prop::option::of(0..20_i32),
        ) {
            let taken = |states: &BTreeMap<u8, Status>| states.values().filter(|s| s.takes_seat()).count() as i64;
            let mut states = had.clone();
            let mut seats = Seats::left(limit, taken(&states));
            let mut refused = 0;
            for (student, wanted) in &rows {
                match step(states.get(student).copied(), *wanted, &mut seats) {
                    Step::Enroll(to) => prop_assert_eq!(states.insert(*student, to), None),
                    Step::EnrollAgain => prop_assert!(states.insert(*student, Status::Active).unwrap().may_enroll_again()),
                    Step::Move { from, to } => {
                        prop_assert!(from.may_become(to));
                        prop_assert_eq!(states.insert(*student, to), Some(from));
                    }
                    Step::Stay => {}
                    Step::Refuse(Refusal::CourseFull) => {
                        refused += 1;
                        prop_assert!(taken(&states) >= i64::from(limit.unwrap()));
                    }
                    Step::Refuse(_) => refused += 1,
                }
                prop_assert_eq!(seats, Seats::left(limit, taken(&states)));
            }
            // Never more than there are, unless they were before.
            let most = limit.map_or(i64::MAX, |limit| i64::from(limit).max(taken(&had)));
            prop_assert!(taken(&states) <= most);
            if refused == 0 {
                for (student, wanted) in &rows {
                    let again = step(states.get(student).copied(), *wanted, &mut seats);
                    let is_barred = again == Step::Refuse(Refusal::Suspended);
                    prop_assert!(again == Step::Stay || is_barred, "{again:?}");
                }
            }
        }
    }
}
