//! What an event tells, as the activity log keeps it: no names, no addresses, no secrets.

use contracts::events::v1::{
    CourseChanged, CourseVideosCompleted, EnrollmentCreated, EnrollmentStatusChanged, ExamAttemptGraded,
    ExamAttemptSubmitted, UserRegistered, UserUpdated, VideoChanged, VideoCompleted,
};
use contracts::{Event, Timestamp};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use typed_id::{CourseId, InvalidId, UserId};
use uuid::Uuid;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Whom it is about.
    pub user_id: Option<UserId>,
    /// Who did it, where the event tells.
    pub actor_id: Option<UserId>,
    pub course_id: Option<CourseId>,
    /// What it happened to.
    pub subject_id: Uuid,
    /// Of two facts of a kind about the same thing, the one with the higher version counts.
    pub version: i32,
    pub grade: Option<Grade>,
    pub details: Value,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grade {
    /// `None` where there was nothing to score.
    pub percent: Option<f64>,
    pub passed: bool,
}

/// An event that cannot be what its sender meant.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("an id in it is none")]
    Id(#[from] InvalidId),
    #[error("a score in it is no number")]
    Score(#[from] std::num::ParseIntError),
}

/// An event that the activity log keeps.
pub trait Tells: Event {
    fn fact(&self) -> Result<Fact, Unreadable>;
}

fn fact(subject: &str, version: i32, details: Value) -> Result<Fact, Unreadable> {
    Ok(Fact {
        user_id: None,
        actor_id: None,
        course_id: None,
        subject_id: Uuid::try_parse(subject).map_err(|_| InvalidId)?,
        version,
        grade: None,
        details,
    })
}

impl Fact {
    fn of(self, user: &str) -> Result<Self, Unreadable> {
        Ok(Self {
            user_id: Some(user.parse()?),
            ..self
        })
    }

    /// An empty id is nobody's.
    fn by(self, actor: &str) -> Result<Self, Unreadable> {
        let actor_id = Some(actor).filter(|id| !id.is_empty());
        Ok(Self {
            actor_id: actor_id.map(str::parse).transpose()?,
            ..self
        })
    }

    fn within(self, course: &str) -> Result<Self, Unreadable> {
        Ok(Self {
            course_id: Some(course.parse()?),
            ..self
        })
    }
}

impl Tells for UserRegistered {
    fn fact(&self) -> Result<Fact, Unreadable> {
        fact(&self.user_id, self.version, json!({"role": self.role}))?.of(&self.user_id)
    }
}

impl Tells for UserUpdated {
    fn fact(&self) -> Result<Fact, Unreadable> {
        let details = json!({
            "role": self.role, "is_active": self.is_active, "email_verified": self.email_verified,
        });
        fact(&self.user_id, self.version, details)?.of(&self.user_id)
    }
}

impl Tells for CourseChanged {
    /// About its teacher, whoever did it.
    fn fact(&self) -> Result<Fact, Unreadable> {
        let details = json!({"change": self.change, "title": self.title, "is_published": self.is_published});
        fact(&self.course_id, self.version, details)?
            .of(&self.teacher_id)?
            .within(&self.course_id)
    }
}

impl Tells for VideoChanged {
    fn fact(&self) -> Result<Fact, Unreadable> {
        let details = json!({"change": self.change, "title": self.title});
        fact(&self.video_id, self.version, details)?.within(&self.course_id)
    }
}

impl Tells for EnrollmentCreated {
    fn fact(&self) -> Result<Fact, Unreadable> {
        let details = json!({"status": self.status});
        fact(&self.enrollment_id, self.version, details)?
            .of(&self.user_id)?
            .by(&self.actor_id)?
            .within(&self.course_id)
    }
}

impl Tells for EnrollmentStatusChanged {
    fn fact(&self) -> Result<Fact, Unreadable> {
        let details = json!({"previous_status": self.previous_status, "status": self.status});
        fact(&self.enrollment_id, self.version, details)?
            .of(&self.user_id)?
            .by(&self.actor_id)?
            .within(&self.course_id)
    }
}

impl Tells for VideoCompleted {
    fn fact(&self) -> Result<Fact, Unreadable> {
        fact(&self.video_id, 0, json!({"title": self.video_title}))?
            .of(&self.user_id)?
            .by(&self.user_id)?
            .within(&self.course_id)
    }
}

impl Tells for CourseVideosCompleted {
    fn fact(&self) -> Result<Fact, Unreadable> {
        fact(&self.course_id, 0, json!({}))?
            .of(&self.user_id)?
            .by(&self.user_id)?
            .within(&self.course_id)
    }
}

impl Tells for ExamAttemptSubmitted {
    fn fact(&self) -> Result<Fact, Unreadable> {
        // Not when it is told: the server closes some seconds after the deadline what was handed in by it.
        let details = json!({
            "exam_id": self.exam_id, "exam_title": self.exam_title, "submitted_by": self.submitted_by,
            "submitted_at": self.submitted_at.as_ref().and_then(written),
        });
        let actor = if self.submitted_by == "student" {
            &self.user_id
        } else {
            ""
        };
        fact(&self.attempt_id, self.version, details)?
            .of(&self.user_id)?
            .by(actor)?
            .within(&self.course_id)
    }
}

impl Tells for ExamAttemptGraded {
    fn fact(&self) -> Result<Fact, Unreadable> {
        let (score, max): (i64, i64) = (self.score.parse()?, self.max_score.parse()?);
        let grade = Grade {
            percent: (max > 0).then(|| score as f64 * 100.0 / max as f64),
            passed: self.passed,
        };
        let details = json!({
            "exam_id": self.exam_id, "exam_title": self.exam_title, "score_percent": grade.percent,
            "passed": self.passed, "is_released": self.is_released,
        });
        let fact = fact(&self.attempt_id, self.version, details)?
            .of(&self.user_id)?
            .within(&self.course_id)?;
        Ok(Fact {
            grade: Some(grade),
            ..fact
        })
    }
}

fn written(at: &Timestamp) -> Option<String> {
    contracts::moment(at)?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use event_bus::QUEUES;

    use super::*;

    /// Events that are no activity, each for a reason.
    const LEFT_OUT: &[(&str, &str)] = &[
        ("user.verification_requested", "holds a one-time token"),
        ("user.password_reset_requested", "holds a one-time token"),
        ("user.email_change_requested", "holds a one-time token"),
        (
            "user.registration_repeated",
            "somebody else's doing; auth audits it",
        ),
        ("token.revoked", "auth audits what it is about"),
        ("user.erased", "nothing of that person is kept"),
        ("user.data_erased", "between services"),
        ("video.metadata_fetched", "nobody did it"),
        ("report.weekly_summary_made", "our own"),
        ("user.security_changed", "auth audits it"),
        ("webhook.changed", "of the school, not of anybody's learning"),
    ];

    #[test]
    fn every_event_is_kept_or_left_out_on_purpose() {
        let queue = QUEUES
            .iter()
            .find(|queue| queue.name() == "reporting.activity")
            .unwrap();
        for event in contracts::EVENT_TYPES {
            let is_left_out = LEFT_OUT.iter().any(|(name, _)| name == event);
            assert_ne!(queue.types.contains(event), is_left_out, "{event}");
        }
    }

    #[test]
    fn a_grade_is_a_share_of_what_could_be_had() {
        let id = "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10";
        let event = |score: &str, max: &str| ExamAttemptGraded {
            attempt_id: id.into(),
            course_id: id.into(),
            user_id: id.into(),
            score: score.into(),
            max_score: max.into(),
            ..ExamAttemptGraded::default()
        };
        let percent = |score, max| event(score, max).fact().map(|fact| fact.grade.unwrap().percent);
        assert_eq!(percent("75000", "100000").unwrap(), Some(75.0));
        assert_eq!(percent("-25000", "100000").unwrap(), Some(-25.0));
        assert_eq!(percent("0", "0").unwrap(), None);
        assert!(percent("7.5", "10").is_err());
    }

    #[test]
    fn names_and_addresses_are_not_kept() {
        let event = UserRegistered {
            user_id: "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10".into(),
            email: "ada@example.edu".into(),
            full_name: "Ada".into(),
            ..UserRegistered::default()
        };
        let text = format!("{:?}", event.fact().unwrap()).to_lowercase();
        assert!(!text.contains("ada"), "{text}");
    }
}
