//! The reports there are.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// Who is in a course.
    Enrollments,
    /// What each has completed.
    Progress,
    /// Each attempt with its score.
    Results,
    /// Everything that happened.
    Activity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no kind of a report")]
pub struct UnknownKind;

impl ReportKind {
    pub const ALL: [Self; 4] = [Self::Enrollments, Self::Progress, Self::Results, Self::Activity];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrollments => "enrollments",
            Self::Progress => "progress",
            Self::Results => "results",
            Self::Activity => "activity",
        }
    }

    /// The heading of each column.
    pub fn head(self) -> &'static [&'static str] {
        match self {
            Self::Enrollments => &[
                "student_id",
                "full_name",
                "status",
                "enrolled_at",
                "last_active_at",
            ],
            Self::Progress => &[
                "student_id",
                "full_name",
                "status",
                "videos_completed",
                "video_count",
                "completed_percent",
                "course_completed_at",
                "last_active_at",
            ],
            Self::Results => &[
                "student_id",
                "full_name",
                "exam_title",
                "attempt_id",
                "submitted_at",
                "submitted_by",
                "score_percent",
                "passed",
                "graded_at",
            ],
            Self::Activity => &["at", "kind", "student_id", "full_name", "subject_id", "details"],
        }
    }
}

impl fmt::Display for ReportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReportKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == name).ok_or(UnknownKind)
    }
}
