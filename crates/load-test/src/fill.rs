//! More data, to see how cost grows: courses by the catalogue's own importer, enrolments by SQL.
//!
//! Ten million enrolments through the API would take an hour, and would measure nothing new: they are written by the database's
//! superuser into the tables of each service that keeps enrolments, past the API, the outbox and all rules. Only here, only by hand.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dev_stack::status::Status;
use indicatif::ProgressBar;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::cost::database_url;
use crate::prepare::bar;

const ROWS_AT_A_TIME: usize = 100_000;

#[derive(clap::Args)]
pub struct Arguments {
    /// So many courses from the importer, such as 1000, 10000 or 100000.
    #[arg(long, default_value_t = 0)]
    courses: usize,
    /// So many enrolments of people that exist in them alone, ten of each, such as 10000, 1000000 or 10000000.
    #[arg(long, default_value_t = 0)]
    enrolments: usize,
}

#[expect(clippy::print_stdout, reason = "a command's report")]
pub async fn run(status: &Status, folder: &Path, database: &str, arguments: &Arguments) -> Result<()> {
    if arguments.courses > 0 {
        import_courses(status, folder, arguments.courses)?;
    }
    let mut connection = PgConnection::connect(&database_url(status, database))
        .await
        .context("the database is not reachable as superuser")?;
    if arguments.enrolments > 0 {
        insert_enrolments(&mut connection, arguments.enrolments).await?;
    }
    let count =
        "SELECT (SELECT count(*) FROM catalog.courses), (SELECT count(*) FROM enrollment.enrollments)";
    let (courses, enrolments): (i64, i64) = sqlx::query_as(count).fetch_one(&mut connection).await?;
    println!("{courses} courses, {enrolments} enrolments");
    Ok(())
}

/// `catalog import`, with the program and the settings of the catalogue that runs.
fn import_courses(status: &Status, folder: &Path, count: usize) -> Result<()> {
    let pid = status.services.get("catalog").context("no catalogue runs")?.pid;
    fs::create_dir_all(folder.join("load"))?;
    let path = folder.join("load/courses.jsonl");
    let mut file = BufWriter::new(File::create(&path)?);
    for number in 0..count {
        let course = json!({
            "source_key": format!("load-{number}"),
            "title": format!("Ders {number}: {}", ["Cebir", "Optik", "Osmanlı", "Şiir"][number % 4]),
            "description": "Haftada iki saat. Konular örneklerle anlatılır, her konunun sonunda bir sınav vardır.",
            "published": true,
        });
        writeln!(file, "{course}")?;
    }
    file.flush()?;
    let environment = fs::read(format!("/proc/{pid}/environ")).context("the catalogue's settings")?;
    let pairs = environment.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let done = Command::new(format!("/proc/{pid}/exe"))
        .arg("import")
        .arg(&path)
        .env_clear()
        .envs(pairs)
        .status()
        .context("catalog import")?;
    ensure!(done.success(), "catalog import: {done}");
    Ok(())
}

/// Ids grow with time, as ours do: pages and indexes are then as they would be.
const ENROLMENTS: &str = "
    WITH courses AS (SELECT array_agg(id ORDER BY id) AS ids FROM catalog.courses WHERE is_published),
    made AS (
        SELECT n, md5('load-user-' || n / 10)::uuid AS user_id,
               courses.ids[1 + (n / 10 * 13 + n % 10 * 97) % array_length(courses.ids, 1)] AS course_id
        FROM courses, generate_series($1::bigint, $2::bigint) AS n
    ), own AS (
        INSERT INTO enrollment.enrollments (id, user_id, course_id, status, enrolled_at, updated_at)
        SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
               user_id, course_id, 'active', now(), now()
        FROM made ON CONFLICT DO NOTHING
    ), watched AS (
        INSERT INTO video_progress.enrollments (user_id, course_id, version, status)
        SELECT user_id, course_id, 1, 'active' FROM made ON CONFLICT DO NOTHING
    ), examined AS (
        INSERT INTO exam.enrollments (user_id, course_id, version, status)
        SELECT user_id, course_id, 1, 'active' FROM made ON CONFLICT DO NOTHING
    )
    INSERT INTO notification.enrollments (user_id, course_id, version, status)
    SELECT user_id, course_id, 1, 'active' FROM made ON CONFLICT DO NOTHING";

async fn insert_enrolments(connection: &mut PgConnection, count: usize) -> Result<()> {
    let progress: ProgressBar = bar("writing enrolments", count)?;
    for first in (0..count).step_by(ROWS_AT_A_TIME) {
        let last = (first + ROWS_AT_A_TIME).min(count) - 1;
        sqlx::query(ENROLMENTS)
            .bind(i64::try_from(first)?)
            .bind(i64::try_from(last)?)
            .execute(&mut *connection)
            .await?;
        progress.inc((last - first + 1) as u64);
    }
    for table in [
        "ANALYZE enrollment.enrollments",
        "ANALYZE video_progress.enrollments",
        "ANALYZE exam.enrollments",
        "ANALYZE notification.enrollments",
    ] {
        sqlx::query(table).execute(&mut *connection).await?;
    }
    progress.finish_and_clear();
    Ok(())
}
