//! Statements that are a transaction each: reads, and writes of one statement.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr};

use crate::connections::Connections;

type BoxDynError = Box<dyn std::error::Error + Send + Sync>;

/// Runs single statements, on connections that are handed from one to the next. All rows are read before the first is given: a
/// connection is held no longer than the server needs, and a read that met a dead one is asked again of another.
#[derive(Debug)]
pub struct Autocommit {
    connections: Arc<Connections>,
    /// Its writes can be asked twice as well.
    repeats: bool,
}

/// How a connection runs a statement.
type Run<T> = for<'c> fn(&'c mut PgConnection, Statement) -> BoxFuture<'c, Result<T, Error>>;

impl Autocommit {
    pub(crate) fn on(connections: Arc<Connections>) -> Self {
        Self {
            connections,
            repeats: false,
        }
    }

    pub(crate) fn repeating(connections: Arc<Connections>) -> Self {
        Self {
            connections,
            repeats: true,
        }
    }

    async fn run<T>(&self, statement: Result<Statement, BoxDynError>, run: Run<T>) -> Result<T, Error> {
        let statement = statement.map_err(Error::Encode)?;
        let is_repeatable = self.repeats || only_reads(statement.sql.as_str());
        let mut taken = self.connections.take().await?;
        // What may have been written by a connection that died cannot be asked again.
        let is_certain = !taken.was_kept() || (is_repeatable && taken.was_just_used());
        if !is_certain && !taken.is_alive().await {
            taken.replace().await?;
        }
        let mut answer = run(&mut taken, statement.clone()).await;
        if is_repeatable && taken.was_kept() && answer.as_ref().err().is_some_and(was_cut) {
            taken.replace().await?;
            answer = run(&mut taken, statement).await;
        }
        match &answer {
            Err(fault) if was_cut(fault) => taken.end(),
            Ok(_) | Err(Error::Database(_)) => taken.give_back(),
            Err(_) => {}
        }
        answer
    }
}

/// Whether the connection is gone, and not the statement at fault.
fn was_cut(fault: &Error) -> bool {
    match fault {
        Error::Io(_) => true,
        Error::Database(fault) => fault
            .code()
            .is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
        _ => false,
    }
}

/// A statement that can be sent once more.
#[derive(Debug, Clone)]
struct Statement {
    sql: SqlStr,
    arguments: Option<PgArguments>,
    is_persistent: bool,
}

impl Statement {
    fn of<'q>(mut query: impl Execute<'q, Postgres>) -> Result<Self, BoxDynError> {
        Ok(Self {
            arguments: query.take_arguments()?,
            is_persistent: query.persistent(),
            sql: query.sql(),
        })
    }
}

impl Execute<'_, Postgres> for Statement {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.is_persistent
    }
}

/// Whether a statement can be asked twice. Our own SQL has its keywords in capitals.
fn only_reads(sql: &str) -> bool {
    let sql = sql.trim_start();
    (sql.starts_with("SELECT") || sql.starts_with("WITH"))
        && !["INSERT", "UPDATE", "DELETE", "MERGE"]
            .iter()
            .any(|word| sql.contains(word))
}

impl<'p> Executor<'p> for &'p Autocommit {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = Statement::of(query);
        let all = self.run(statement, |connection, statement| {
            connection.fetch_many(statement).try_collect::<Vec<_>>().boxed()
        });
        stream::once(all)
            .map_ok(|steps| stream::iter(steps.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = Statement::of(query);
        self.run(statement, |connection, statement| {
            connection.fetch_optional(statement)
        })
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'p: 'e,
    {
        self.connections.pool().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'p: 'e,
    {
        self.connections.pool().describe(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::only_reads;

    #[test]
    fn a_write_is_not_asked_twice() {
        assert!(only_reads("SELECT 1"));
        assert!(only_reads("\n  WITH a AS (SELECT 1) SELECT * FROM a"));
        assert!(!only_reads("INSERT INTO a VALUES (1)"));
        assert!(!only_reads(
            "WITH gone AS (DELETE FROM a RETURNING id) SELECT * FROM gone"
        ));
        assert!(!only_reads("SELECT id FROM a FOR UPDATE"));
    }
}
