use std::collections::HashSet;
use std::time::Duration;

use access_token::Caller;
use cache::{CacheError, Key, LoadFault};
use contracts::reporting::v1::{CourseStatistics, DailyStatistics, DayFigures};
use postgres::problem_of;
use problem::{Problem, codes};
use time::Date;
use typed_id::CourseId;

use crate::app::Reporting;
use crate::domain::day;
use crate::storage::statistics::{self, Figures};

/// A day that is over changes only when something comes late, and is forgotten then.
pub const TTL_OVER: Duration = Duration::from_hours(1);
/// A day that goes on.
const TTL_TODAY: Duration = Duration::from_mins(1);

/// The school's figures of a day, yesterday's unless it is named. Cached.
pub async fn daily(app: &Reporting, date: Option<&str>) -> Result<DailyStatistics, Problem> {
    let today = day::today(app.clock.now());
    let date = match date {
        Some(text) => day::parse("date", text)?,
        None => today - time::Duration::days(1),
    };
    if date > today {
        return Err(Problem::invalid_field("date", "future", "has not come yet"));
    }
    let ttl = if date < today { TTL_OVER } else { TTL_TODAY };
    let load = || async {
        let kept = statistics::total(app.db.primary(), date)
            .await
            .map_err(problem_of)?;
        let figures = match kept {
            Some(figures) => figures,
            None => counted(app, (date, date), None)
                .await?
                .into_iter()
                .find(|one| one.course_id.is_none())
                .unwrap_or_else(|| Figures::nothing(date)),
        };
        Ok::<_, Problem>(DailyStatistics {
            registrations: figures.registrations,
            figures: Some(message(&figures, today)),
        })
    };
    let found = app.cache.get_or_load(&Key::DailyStats(date), ttl, load).await;
    found.map_err(|fault| match fault {
        // Who waited for another's load is told of its fault by its code.
        CacheError::Load(fault) => match &*fault {
            LoadFault::Load(problem) => Problem::new(problem.code()),
            LoadFault::Json(_) => Problem::new(&codes::INTERNAL),
        },
        CacheError::Shape(fault) => Problem::internal(fault),
    })
}

/// A course's figures by day: what is kept, and what is not is counted now.
pub async fn of_course(
    app: &Reporting,
    caller: &Caller,
    course: CourseId,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<CourseStatistics, Problem> {
    let today = day::today(app.clock.now());
    let (first, last) = day::range(from, to, today)?;
    app.roster.staff_course(caller, course).await?;
    let missing = statistics::not_kept(app.db.primary(), (first, last))
        .await
        .map_err(problem_of)?;
    let is_missing: HashSet<Date> = missing.iter().copied().collect();
    let mut days = statistics::of_course(app.db.primary(), course, (first, last))
        .await
        .map_err(problem_of)?;
    days.retain(|one| !is_missing.contains(&one.day));
    if let (Some(from), Some(to)) = (missing.first(), missing.last()) {
        let fresh = counted(app, (*from, *to), Some(course)).await?;
        let fresh = fresh
            .into_iter()
            .filter(|one| one.course_id.is_some() && is_missing.contains(&one.day));
        days.extend(fresh);
        days.sort_by_key(|one| one.day);
    }
    Ok(CourseStatistics {
        course_id: course.into(),
        from: day::text(first),
        to: day::text(last),
        days: days.iter().map(|one| message(one, today)).collect(),
    })
}

async fn counted(
    app: &Reporting,
    days: (Date, Date),
    course: Option<CourseId>,
) -> Result<Vec<Figures>, Problem> {
    statistics::count(app.db.primary(), days, course)
        .await
        .map_err(problem_of)
}

fn message(figures: &Figures, today: Date) -> DayFigures {
    DayFigures {
        date: day::text(figures.day),
        is_over: figures.day < today,
        active_users: figures.active_users,
        enrollments: figures.enrollments,
        enrollments_dropped: figures.enrollments_dropped,
        videos_completed: figures.videos_completed,
        courses_completed: figures.courses_completed,
        attempts_submitted: figures.attempts_submitted,
        attempts_graded: figures.attempts_graded,
        attempts_passed: figures.attempts_passed,
        average_score_percent: figures.average_score_percent,
    }
}
