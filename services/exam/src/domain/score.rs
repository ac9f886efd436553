//! Fixed-point scores: sums do not depend on their order, and a third of a point is the same everywhere.

use std::iter::Sum;
use std::ops::{Add, Neg};

use serde::{Deserialize, Serialize};

/// Ten-thousandths of a point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(pub i64);

const UNIT: f64 = 10_000.0;
/// Ten-thousandths of a question's points.
pub type Credit = i32;
pub const FULL: Credit = 10_000;

impl Score {
    pub const ZERO: Self = Self(0);

    /// The nearest score; `None` for what is not a number of points between -1 000 and 1 000.
    pub fn from_points(points: f64) -> Option<Self> {
        (points.abs() <= 1_000.0).then(|| Self((points * UNIT).round() as i64))
    }

    pub fn points(self) -> f64 {
        self.0 as f64 / UNIT
    }

    /// A share of it, rounded half away from zero.
    #[must_use]
    pub fn share(self, credit: Credit) -> Self {
        let product = self.0 * i64::from(credit);
        let half = i64::from(FULL) / 2 * product.signum();
        Self((product + half) / i64::from(FULL))
    }

    /// Whether it is at least `percent` of `max`.
    pub fn reaches(self, percent: i32, max: Self) -> bool {
        self.0 * 100 >= i64::from(percent) * max.0
    }
}

impl Add for Score {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Neg for Score {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Score {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_are_bounded_and_odd(points in 0..10_000_000_i64, credit in -FULL..=FULL) {
            let share = Score(points).share(credit);
            prop_assert!(share.0.abs() <= points);
            prop_assert_eq!(Score(points).share(-credit), -share);
            prop_assert_eq!(Score(points).share(FULL), Score(points));
        }
    }
}
