//! How scores of other systems become credits.

use crate::{Credit, FULL};

fn bounded(value: i128) -> Credit {
    Credit::try_from(value.clamp(-i128::from(FULL), i128::from(FULL))).unwrap_or(0)
}

fn scaled(weight: i64, whole: i128) -> Credit {
    let product = i128::from(weight) * i128::from(FULL);
    let half = if product < 0 { -(whole / 2) } else { whole / 2 };
    bounded((product + half) / whole)
}

/// For several right choices: the weights above zero share full credit, those below are scaled alike. The parts that
/// are left over by rounding go to the largest remainders, the first ones among equals. Nothing changes when the
/// weights above zero add up to full credit already, and those below zero stay when only rounding is off. Without a
/// weight above zero all is zero.
pub(crate) fn share(weights: &[i64]) -> Vec<Credit> {
    let sum: i128 = weights
        .iter()
        .filter(|weight| **weight > 0)
        .map(|weight| i128::from(*weight))
        .sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let count = weights.iter().filter(|weight| **weight > 0).count() as i128;
    let is_rounded = (sum - i128::from(FULL)).abs() <= count;
    let mut credits = Vec::with_capacity(weights.len());
    let mut remainders = Vec::new();
    let mut left = i128::from(FULL);
    for (index, weight) in weights.iter().enumerate() {
        if *weight <= 0 {
            credits.push(scaled(*weight, if is_rounded { i128::from(FULL) } else { sum }));
            continue;
        }
        let product = i128::from(*weight) * i128::from(FULL);
        credits.push(bounded(product / sum));
        left -= product / sum;
        remainders.push((product % sum, index));
    }
    remainders.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    let left = usize::try_from(left).unwrap_or(0);
    for (_, index) in remainders.into_iter().take(left) {
        if let Some(credit) = credits.get_mut(index) {
            *credit += 1;
        }
    }
    credits
}

/// For one right choice: the largest weight has full credit. `None` without a weight above zero.
pub(crate) fn best(weights: &[i64]) -> Option<Vec<Credit>> {
    let largest = weights.iter().copied().max().filter(|largest| *largest > 0)?;
    Some(
        weights
            .iter()
            .map(|weight| scaled(*weight, i128::from(largest)))
            .collect(),
    )
}

/// For a source that tells only which choices are right: one wrong pick takes away what one right pick gives.
pub(crate) fn even(right: &[bool]) -> Vec<Credit> {
    let weights: Vec<i64> = right.iter().map(|right| if *right { 1 } else { -1 }).collect();
    share(&weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!(share(&[1, 1, 1]), [3334, 3333, 3333]);
        assert_eq!(share(&[3333, 3333, -10_000, 3334]), [3333, 3333, -10_000, 3334]);
        assert_eq!(share(&[25, -10, 25, 25, 25]), [2500, -1000, 2500, 2500, 2500]);
        assert_eq!(share(&[0, -5]), [0, 0]);
        assert_eq!(share(&[i64::MAX, i64::MAX, i64::MIN]), [5000, 5000, -5000]);
    }

    #[test]
    fn the_best_one_is_full() {
        assert_eq!(best(&[10, 5, 0, -20]), Some(vec![10_000, 5000, 0, -10_000]));
        assert_eq!(best(&[0, 0]), None);
    }

    #[test]
    fn wrong_picks_cancel_right_ones() {
        assert_eq!(even(&[true, false, true]), [5000, -5000, 5000]);
    }
}
