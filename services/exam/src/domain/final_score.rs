//! Which of a student's attempts at an exam count, and the score that comes of them.

use std::cmp::Ordering;

use typed_id::AttemptId;

use super::score::Score;

/// A graded attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graded {
    pub attempt_id: AttemptId,
    pub score: Score,
    pub max_score: Score,
    pub passed: bool,
}

/// How a student did at an exam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final {
    pub score: Score,
    pub max_score: Score,
    pub passed: bool,
    /// The attempts that count, in their order.
    pub counting: Vec<AttemptId>,
}

impl Final {
    /// `None` where nothing could be scored.
    pub fn percent(&self) -> Option<f64> {
        (self.max_score.0 > 0).then(|| 100.0 * self.score.0 as f64 / self.max_score.0 as f64)
    }
}

/// The final score of a student by the exam's `attempt_scoring`; `attempts` are those that are graded, in their order. One attempt that
/// counts keeps its own pass, by the rules of its start; an average is judged by `pass_percent`.
pub fn final_score(scoring: &str, pass_percent: i32, attempts: &[Graded]) -> Option<Final> {
    let chosen = match scoring {
        "average" => return average(pass_percent, attempts),
        "last" => attempts.last(),
        "first" => attempts.first(),
        // The first of those that are equally good.
        _ => attempts.iter().rev().max_by(|a, b| by_share(a, b)),
    };
    chosen.map(|attempt| Final {
        score: attempt.score,
        max_score: attempt.max_score,
        passed: attempt.passed,
        counting: vec![attempt.attempt_id],
    })
}

fn average(pass_percent: i32, attempts: &[Graded]) -> Option<Final> {
    let count = i64::try_from(attempts.len()).ok().filter(|count| *count > 0)?;
    let mean = |sum: Score| Score((sum.0 + count / 2).div_euclid(count));
    let score = mean(attempts.iter().map(|attempt| attempt.score).sum());
    let max_score = mean(attempts.iter().map(|attempt| attempt.max_score).sum());
    Some(Final {
        score,
        max_score,
        passed: score.reaches(pass_percent, max_score),
        counting: attempts.iter().map(|attempt| attempt.attempt_id).collect(),
    })
}

/// By the share of the points: attempts at different revisions or draws have different maxima.
fn by_share(a: &Graded, b: &Graded) -> Ordering {
    let fraction = |attempt: &Graded| match attempt.max_score.0 {
        max if max > 0 => (i128::from(attempt.score.0), i128::from(max)),
        _ => (0, 1),
    };
    let ((a, a_max), (b, b_max)) = (fraction(a), fraction(b));
    (a * b_max).cmp(&(b * a_max))
}

/// Final scores of an exam, one a student.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Summary {
    pub students: usize,
    pub mean_percent: Option<f64>,
    pub median_percent: Option<f64>,
    /// 0 to 1.
    pub pass_rate: Option<f64>,
}

pub fn summary(finals: &[Final]) -> Summary {
    let mut percents: Vec<f64> = finals.iter().filter_map(Final::percent).collect();
    percents.sort_by(f64::total_cmp);
    let middle = percents.len() / 2;
    let median = match (percents.len() % 2, percents.get(middle)) {
        (0, Some(upper)) => percents
            .get(middle - 1)
            .map(|lower| f64::midpoint(*lower, *upper)),
        (_, found) => found.copied(),
    };
    let share = |part: f64, whole: usize| (whole > 0).then(|| part / whole as f64);
    let passed = finals.iter().filter(|of| of.passed).count();
    Summary {
        students: finals.len(),
        mean_percent: share(percents.iter().sum(), percents.len()),
        median_percent: median,
        pass_rate: share(passed as f64, finals.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn graded(place: usize, (score, max_score): (i64, i64), pass_percent: i32) -> Graded {
        Graded {
            attempt_id: AttemptId(Uuid::from_u128(place as u128)),
            score: Score(score),
            max_score: Score(max_score),
            passed: Score(score).reaches(pass_percent, Score(max_score)),
        }
    }

    fn attempts() -> impl Strategy<Value = Vec<Graded>> {
        prop::collection::vec((-50..=100_i64, 0..=200_i64), 0..8).prop_map(|all| {
            let all = all.into_iter().enumerate();
            all.map(|(place, points)| graded(place, points, 50)).collect()
        })
    }

    proptest! {
        #[test]
        fn what_counts_is_one_attempt_or_all(attempts in attempts(), scoring in prop::sample::select(vec!["best", "last", "first", "average"])) {
            let Some(found) = final_score(scoring, 50, &attempts) else {
                prop_assert!(attempts.is_empty());
                return Ok(());
            };
            if scoring == "average" {
                prop_assert_eq!(found.counting.len(), attempts.len());
                let (low, high) = (attempts.iter().map(|a| a.score).min(), attempts.iter().map(|a| a.score).max());
                prop_assert!(low <= Some(found.score) && Some(found.score) <= high);
                prop_assert_eq!(found.passed, found.score.reaches(50, found.max_score));
                return Ok(());
            }
            prop_assert_eq!(found.counting.len(), 1);
            let place = attempts.iter().position(|a| a.attempt_id == found.counting[0]);
            let one = attempts[place.unwrap_or_default()];
            prop_assert_eq!((found.score, found.max_score, found.passed), (one.score, one.max_score, one.passed));
            match scoring {
                "first" => prop_assert_eq!(place, Some(0)),
                "last" => prop_assert_eq!(place, Some(attempts.len() - 1)),
                _ => for (other_place, other) in attempts.iter().enumerate() {
                    let order = by_share(other, &one);
                    prop_assert!(order == Ordering::Less || (order == Ordering::Equal && Some(other_place) >= place), "{:?} beats {:?}", other, one);
                },
            }
        }

        #[test]
        fn a_student_counts_once(students in prop::collection::vec(attempts(), 0..6)) {
            let finals: Vec<Final> = students.iter().filter_map(|all| final_score("best", 50, all)).collect();
            let all = summary(&finals);
            prop_assert_eq!(all.students, students.iter().filter(|all| !all.is_empty()).count());
            prop_assert!(all.pass_rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)));
            let percents = || finals.iter().filter_map(Final::percent);
            if let (Some(mean), Some(median)) = (all.mean_percent, all.median_percent) {
                let (low, high) = (percents().fold(f64::MAX, f64::min), percents().fold(f64::MIN, f64::max));
                prop_assert!(low - 1e-9 <= mean && mean <= high + 1e-9 && low <= median && median <= high);
            } else {
                prop_assert_eq!(percents().count(), 0);
            }
        }
    }

    #[test]
    fn which_attempt_counts() {
        let all: Vec<Graded> = [(3, 10), (9, 10), (4, 10), (9, 10)]
            .into_iter()
            .enumerate()
            .map(|(place, points)| graded(place, points, 50))
            .collect();
        for (scoring, score, counting) in [
            ("best", 9, vec![1]),
            ("last", 9, vec![3]),
            ("first", 3, vec![0]),
            ("average", 6, vec![0, 1, 2, 3]),
        ] {
            let found = final_score(scoring, 50, &all).unwrap();
            let counting: Vec<AttemptId> = counting
                .into_iter()
                .map(|place: usize| all[place].attempt_id)
                .collect();
            assert_eq!(
                (found.score, found.counting),
                (Score(score), counting),
                "{scoring}"
            );
            assert_eq!(final_score(scoring, 50, &[]), None);
        }
        // 3 of 4 beats 5 of 10.
        let uneven = [graded(0, (5, 10), 50), graded(1, (3, 4), 50)];
        assert_eq!(final_score("best", 50, &uneven).unwrap().score, Score(3));
    }
}
