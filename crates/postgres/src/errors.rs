//! What a database error means to a client.

use std::time::Duration;

use problem::{Problem, codes};

/// The constraint that a statement broke, by its name.
pub fn violated_constraint(fault: &sqlx::Error) -> Option<&str> {
    match fault {
        sqlx::Error::Database(fault) => fault.constraint(),
        _ => None,
    }
}

/// The answer to a database error that the use case does not know. SQLSTATE decides; the text is only logged.
pub fn problem_of(fault: sqlx::Error) -> Problem {
    let code = match &fault {
        sqlx::Error::Database(fault) => match fault.code().as_deref() {
            // Text that PostgreSQL cannot hold, or a value out of its column's range: the input's fault.
            Some("22021" | "22P05" | "22001" | "22003" | "23514") => &codes::VALIDATION_FAILED,
            // Cancelled by a time limit, waited too long for a lock, deadlock, serialization failure; shutting down, starting, out
            // of connections, read-only after a failover.
            Some(
                "57014" | "55P03" | "40P01" | "40001" | "57P01" | "57P02" | "57P03" | "53300" | "25006"
                | "25P03",
            ) => &codes::UNAVAILABLE,
            _ => &codes::INTERNAL,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => &codes::UNAVAILABLE,
        _ => &codes::INTERNAL,
    };
    let problem = Problem::new(code).with_source(fault);
    if code == &codes::UNAVAILABLE {
        problem.with_retry_after(Duration::from_secs(1))
    } else {
        problem
    }
}

/// Whether the database cannot serve anybody, whatever the event: not there, starting, stopping, full, or read-only after a
/// failover.
pub fn is_away(fault: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(fault), |fault| fault.source());
    causes.any(|cause| match cause.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut) => true,
        Some(sqlx::Error::Database(fault)) => fault.code().is_some_and(|code| {
            ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) || code == "25006"
        }),
        _ => false,
    })
}

/// Whether somebody else was in the way: a deadlock, a serialization failure, a lock that did not come in time. Trying again may help
/// at once.
pub fn is_about_others(fault: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(fault), |fault| fault.source());
    causes.any(|cause| match cause.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(fault)) => fault
            .code()
            .is_some_and(|code| ["40P01", "40001", "55P03"].contains(&code.as_ref())),
        _ => false,
    })
}
