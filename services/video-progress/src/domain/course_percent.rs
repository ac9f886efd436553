//! How far somebody is in a course: a function of progress and of the videos that the course has now.

/// What an unknown length weighs as.
const TYPICAL_SECONDS: i32 = 600;

/// One video of the course and what was watched of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub duration_seconds: i32,
    pub percent: f64,
    pub completed: bool,
}

/// 0 to 100: videos weighted by their length; a completed one counts whole. A course without videos is at 0.
pub fn course_percent(parts: &[Part]) -> f64 {
    let weight = |part: &Part| {
        f64::from(if part.duration_seconds > 0 {
            part.duration_seconds
        } else {
            TYPICAL_SECONDS
        })
    };
    let all: f64 = parts.iter().map(weight).sum();
    if all <= 0.0 {
        return 0.0;
    }
    let done = |part: &Part| if part.completed { 100.0 } else { part.percent };
    let sum: f64 = parts.iter().map(|part| weight(part) * done(part)).sum();
    ((sum / all) * 100.0).round().clamp(0.0, 10_000.0) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = Part> {
        (0..10_000_i32, 0.0..=100.0_f64, any::<bool>()).prop_map(|(duration_seconds, percent, completed)| {
            Part {
                duration_seconds,
                percent,
                completed,
            }
        })
    }

    proptest! {
        #[test]
        fn it_stays_between_0_and_100_and_never_falls_by_watching(mut parts in prop::collection::vec(part(), 1..20), at in any::<prop::sample::Index>()) {
            let before = course_percent(&parts);
            prop_assert!((0.0..=100.0).contains(&before));
            let at = at.index(parts.len());
            parts[at].percent = 100.0;
            prop_assert!(course_percent(&parts) >= before);
            parts.iter_mut().for_each(|part| part.completed = true);
            prop_assert!((course_percent(&parts) - 100.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn a_course_without_videos_is_at_0() {
        assert!(course_percent(&[]).abs() < f64::EPSILON);
    }
}
