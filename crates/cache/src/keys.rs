//! Every Redis key of the product: `{app}:{resource}:{identifier}:{variant}` (C-CAC-03).

use std::fmt;

use time::Date;
use typed_id::{CourseId, UserId};

/// A key. No key is built anywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A course with its topics and videos, as everybody sees it.
    CourseDetail(CourseId),
    /// Grows when any course changes: old pages are then never asked for again.
    CourseListGeneration,
    /// One page of the course list; the hash is of its filters and cursor.
    CourseList {
        generation: u64,
        filters: String,
    },
    /// The school's figures of a day (C-JOB-10).
    DailyStats(Date),
    /// A-OUT-01.
    Departments,
    /// A revoked session, for readers outside of our processes (C-AUTH-02).
    RevokedSession(String),
    RevokedUser(UserId),
    /// All live revocations, for our processes while auth is out of their reach.
    Revocations,
    /// A ticket for a live socket, by its hash.
    LiveTicket(String),
    /// Channel of what users are told.
    LiveNews,
    /// Channel that says since when something may not have been told.
    LiveMissed,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CourseDetail(id) => write!(f, "sc:course:{id}:detail"),
            Self::CourseListGeneration => f.write_str("sc:courses:list:generation"),
            Self::CourseList { generation, filters } => write!(f, "sc:courses:list:{generation}:{filters}"),
            Self::DailyStats(day) => write!(f, "sc:stats:daily:{day}"),
            Self::Departments => f.write_str("sc:departments:list:all"),
            Self::RevokedSession(id) => write!(f, "session:jwt:blacklist:{id}"),
            Self::RevokedUser(id) => write!(f, "session:user:{id}:revoked"),
            Self::Revocations => f.write_str("sc:revocations:list:live"),
            Self::LiveTicket(hash) => write!(f, "sc:live:ticket:{hash}"),
            Self::LiveNews => f.write_str("sc:live:news"),
            Self::LiveMissed => f.write_str("sc:live:missed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn keys_are_these() {
        let id = "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10";
        for (key, text) in [
            (
                Key::CourseDetail(id.parse().unwrap()),
                format!("sc:course:{id}:detail"),
            ),
            (Key::CourseListGeneration, "sc:courses:list:generation".into()),
            (
                Key::CourseList {
                    generation: 7,
                    filters: "ab12".into(),
                },
                "sc:courses:list:7:ab12".into(),
            ),
            (Key::Departments, "sc:departments:list:all".into()),
            (
                Key::DailyStats(date!(2024 - 12 - 24)),
                "sc:stats:daily:2024-12-24".into(),
            ),
            (
                Key::RevokedSession(id.into()),
                format!("session:jwt:blacklist:{id}"),
            ),
            (
                Key::RevokedUser(id.parse().unwrap()),
                format!("session:user:{id}:revoked"),
            ),
            (Key::Revocations, "sc:revocations:list:live".into()),
            (Key::LiveTicket("ab12".into()), "sc:live:ticket:ab12".into()),
            (Key::LiveNews, "sc:live:news".into()),
            (Key::LiveMissed, "sc:live:missed".into()),
        ] {
            assert_eq!(key.to_string(), text);
        }
    }
}
