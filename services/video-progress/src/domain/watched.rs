//! What was watched of a video: a union of segments that grows no faster than the clock allows.

use time::OffsetDateTime;

/// Watching at double speed is the fastest there is.
const MAX_SPEED: i64 = 2;
/// A player that was opened before we heard of it.
const HEAD_START: i64 = 10;
/// Share of a video, in percent, that completes it.
const COMPLETES: i64 = 90;

/// Disjoint segments in order, that do not touch; seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments(Vec<(i32, i32)>);

impl Segments {
    /// The union of any segments; empty and reversed ones count for nothing.
    pub fn of(segments: impl IntoIterator<Item = (i32, i32)>) -> Self {
        let mut all: Vec<(i32, i32)> = segments
            .into_iter()
            .map(|(start, end)| (start.max(0), end))
            .filter(|(start, end)| start < end)
            .collect();
        all.sort_unstable();
        let mut union: Vec<(i32, i32)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match union.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => union.push((start, end)),
            }
        }
        Self(union)
    }

    /// As stored: start, end, start, end ...
    pub fn from_bounds(bounds: &[i32]) -> Self {
        Self::of(bounds.chunks_exact(2).map(|pair| (pair[0], pair[1])))
    }

    pub fn bounds(&self) -> Vec<i32> {
        self.0.iter().flat_map(|(start, end)| [*start, *end]).collect()
    }

    pub fn seconds(&self) -> i32 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Cut at the end of the video.
    fn within(self, duration: i32) -> Self {
        Self::of(self.0.into_iter().map(|(start, end)| (start, end.min(duration))))
    }

    fn union(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied())
    }

    /// What is in `self` and not in `other`.
    fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        for &(mut start, end) in &self.0 {
            for &(taken_start, taken_end) in &other.0 {
                if taken_end <= start || taken_start >= end {
                    continue;
                }
                if taken_start > start {
                    rest.push((start, taken_start));
                }
                start = start.max(taken_end);
            }
            if start < end {
                rest.push((start, end));
            }
        }
        Self::of(rest)
    }

    /// The first `seconds` of it.
    fn first(&self, mut seconds: i32) -> Self {
        let mut kept = Vec::new();
        for &(start, end) in &self.0 {
            if seconds <= 0 {
                break;
            }
            let end = end.min(start.saturating_add(seconds));
            kept.push((start, end));
            seconds -= end - start;
        }
        Self(kept)
    }
}

/// A student's state of a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    pub segments: Segments,
    pub position: i32,
    /// As the player told it. While the catalogue knows no length it says how far one is; it completes nothing, as a client can claim any.
    pub reported_length: i32,
    /// The most that was ever told of it, in percent: a length that turns out longer takes nothing back.
    pub best_percent: f64,
    /// When the student opened the video first.
    pub started_at: OffsetDateTime,
    pub completed_at: Option<OffsetDateTime>,
}

/// What a player says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub segments: Vec<(i32, i32)>,
    /// Since the last report, of players that know no segments.
    pub watched_seconds: i32,
    pub length: i32,
    pub position: Option<i32>,
}

impl Watched {
    pub fn new(started_at: OffsetDateTime) -> Self {
        Self {
            segments: Segments::default(),
            position: 0,
            reported_length: 0,
            best_percent: 0.0,
            started_at,
            completed_at: None,
        }
    }

    /// The length that counts: the catalogue's, or the player's; 0 while nobody knows.
    pub fn length(&self, catalogue: i32) -> i32 {
        if catalogue > 0 {
            catalogue
        } else {
            self.reported_length
        }
    }

    /// The state after a report that arrived at `now`. Nothing that was watched is ever taken away.
    #[must_use]
    pub fn after(&self, report: &Report, catalogue_length: i32, now: OffsetDateTime) -> Self {
        let mut next = self.clone();
        next.reported_length = self.reported_length.max(report.length);
        let length = next.length(catalogue_length);
        let clip = |seconds: i32| if length > 0 { seconds.min(length) } else { seconds };

        let told = if report.segments.is_empty() {
            let end = report
                .position
                .unwrap_or_else(|| self.position.saturating_add(report.watched_seconds));
            vec![(end.saturating_sub(report.watched_seconds), end)]
        } else {
            report.segments.clone()
        };
        let position = report
            .position
            .or_else(|| told.last().map(|(_, end)| *end))
            .unwrap_or(self.position);
        next.position = clip(position.max(0));

        let told = Segments::of(told);
        let told = if length > 0 { told.within(length) } else { told };
        let new = told.without(&self.segments);
        let elapsed = (now - self.started_at)
            .whole_seconds()
            .clamp(0, i64::from(i32::MAX) / 4);
        let allowed = HEAD_START + MAX_SPEED * elapsed - i64::from(self.segments.seconds());
        let allowed = i32::try_from(allowed.max(0)).unwrap_or(i32::MAX);
        next.segments = self.segments.union(&new.first(allowed));
        next.best_percent = next.percent(catalogue_length);

        // What was told before the length was known may lie behind the end.
        let seconds = || next.segments.clone().within(catalogue_length).seconds();
        if self.completed_at.is_none()
            && catalogue_length > 0
            && seconds() >= seconds_to_complete(catalogue_length)
        {
            next.completed_at = Some(now);
        }
        next
    }

    /// 0 to 100, of a video with that length in the catalogue; never less than before.
    pub fn percent(&self, catalogue_length: i32) -> f64 {
        percent(self.segments.seconds(), self.length(catalogue_length)).max(self.best_percent)
    }
}

/// So many seconds of a video complete it.
pub fn seconds_to_complete(length: i32) -> i32 {
    let seconds = (i64::from(length) * COMPLETES + 99) / 100;
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// 0 to 100 with two decimals; 0 of nothing.
pub fn percent(seconds: i32, length: i32) -> f64 {
    if length <= 0 {
        return 0.0;
    }
    (f64::from(seconds) * 10_000.0 / f64::from(length))
        .round()
        .clamp(0.0, 10_000.0)
        / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn segment() -> impl Strategy<Value = (i32, i32)> {
        (0..400_i32, 0..60_i32).prop_map(|(start, length)| (start, start + length))
    }

    fn report() -> impl Strategy<Value = Report> {
        (
            prop::collection::vec(segment(), 0..4),
            0..500_i32,
            0..500_i32,
            prop::option::of(0..500_i32),
        )
            .prop_map(|(segments, watched_seconds, length, position)| Report {
                segments,
                watched_seconds,
                length,
                position,
            })
    }

    /// The seconds that a set of segments holds, one by one.
    fn seconds(segments: &[(i32, i32)]) -> std::collections::BTreeSet<i32> {
        segments.iter().flat_map(|(start, end)| *start..*end).collect()
    }

    proptest! {
        #[test]
        fn segments_are_sets_of_seconds(a in prop::collection::vec(segment(), 0..8), b in prop::collection::vec(segment(), 0..8)) {
            let (one, two) = (Segments::of(a.clone()), Segments::of(b.clone()));
            let (set_a, set_b) = (seconds(&a), seconds(&b));
            prop_assert_eq!(one.seconds() as usize, set_a.len());
            prop_assert_eq!(seconds(&one.union(&two).0), set_a.union(&set_b).copied().collect());
            prop_assert_eq!(seconds(&one.without(&two).0), set_a.difference(&set_b).copied().collect());
            prop_assert_eq!(&Segments::from_bounds(&one.bounds()), &one);
        }

        #[test]
        fn watched_time_grows_with_the_clock_at_most_twice_as_fast(
            reports in prop::collection::vec((report(), 0..60_i64), 1..30), length in 0..450_i32,
        ) {
            let mut state = Watched::new(START);
            let mut now = START;
            for (report, gap) in reports {
                now += Duration::seconds(gap);
                let next = state.after(&report, length, now);
                prop_assert!(state.segments.without(&next.segments).0.is_empty(), "nothing is taken away");
                let watched = i64::from(next.segments.seconds());
                prop_assert!(watched <= HEAD_START + MAX_SPEED * (now - START).whole_seconds());
                let percent = next.percent(length);
                prop_assert!((0.0..=100.0).contains(&percent) && percent >= state.percent(length));
                prop_assert!(next.position >= 0 && (length == 0 || next.position <= length));
                prop_assert!(state.completed_at.is_none() || next.completed_at == state.completed_at);
                state = next;
            }
        }

        /// Players correct themselves while the catalogue knows no length, and the catalogue learns it at last.
        #[test]
        fn nobody_falls_back_whatever_the_length_turns_out_to_be(
            reports in prop::collection::vec((report(), 0..60_i64, prop_oneof![3 => Just(0), 1 => 0..450_i32]), 1..30),
        ) {
            let (mut state, mut now, mut told) = (Watched::new(START), START, 0.0);
            for (report, gap, catalogue_length) in reports {
                now += Duration::seconds(gap);
                state = state.after(&report, catalogue_length, now);
                let percent = state.percent(catalogue_length);
                prop_assert!((told..=100.0).contains(&percent), "{percent} after {told}");
                told = percent;
            }
        }

        /// What a client claims of the length completes nothing.
        #[test]
        fn only_the_catalogue_s_length_completes(reports in prop::collection::vec((report(), 0..60_i64), 1..30)) {
            let (mut state, mut now) = (Watched::new(START), START);
            for (report, gap) in reports {
                now += Duration::seconds(gap);
                state = state.after(&report, 0, now);
            }
            prop_assert_eq!(state.completed_at, None);
        }

        /// Two tabs, retries and reordering: as long as the clock allows all of it, the order does not matter.
        #[test]
        fn reports_may_come_in_any_order_and_twice(mut reports in prop::collection::vec(prop::collection::vec(segment(), 1..4), 1..8)) {
            let late = START + Duration::days(1);
            let all = |reports: &[Vec<(i32, i32)>]| {
                reports.iter().fold(Watched::new(START), |state, segments| {
                    let report = Report { segments: segments.clone(), ..Report::default() };
                    state.after(&report, 0, late)
                }).segments
            };
            let once = all(&reports);
            reports.reverse();
            reports.extend(reports.clone());
            prop_assert_eq!(all(&reports), once);
        }
    }

    #[test]
    fn seeking_earns_nothing() {
        let report = Report {
            position: Some(1_190),
            length: 1_200,
            ..Report::default()
        };
        let state = Watched::new(START).after(&report, 1_200, START + Duration::hours(1));
        assert_eq!((state.segments.seconds(), state.position), (0, 1_190));
    }

    #[test]
    fn a_bare_count_goes_on_from_the_last_position_as_fast_as_the_clock_allows() {
        let report = Report {
            watched_seconds: 450,
            length: 1_200,
            ..Report::default()
        };
        let at_once = Watched::new(START).after(&report, 1_200, START);
        assert_eq!(at_once.segments, Segments::of([(0, 10)]));
        let later = at_once.after(
            &Report {
                watched_seconds: 30,
                ..report
            },
            1_200,
            START + Duration::minutes(10),
        );
        assert_eq!(later.segments, Segments::of([(0, 10), (450, 480)]));
    }

    #[test]
    fn nine_tenths_complete_a_video_for_good() {
        let whole = Report {
            segments: vec![(0, 90)],
            ..Report::default()
        };
        let late = START + Duration::hours(1);
        let state = Watched::new(START).after(&whole, 100, late);
        assert_eq!(state.completed_at, Some(late));
        assert_eq!(
            state
                .after(&Report::default(), 500, late + Duration::hours(1))
                .completed_at,
            Some(late)
        );
        assert!((state.percent(100) - 90.0).abs() < f64::EPSILON);
    }
}
