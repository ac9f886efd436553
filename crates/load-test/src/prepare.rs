//! A course with videos and an exam, and students in it.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, text};

const PASSWORD: &str = "a password for load tests";
/// Hashing passwords is the work here; more at once only wait.
const AT_A_TIME: usize = 8;

pub struct Student {
    pub token: String,
}

/// What the scenarios work with.
pub struct Exam {
    pub course: String,
    pub video: String,
    pub exam: String,
    pub students: Vec<Student>,
}

pub async fn sign_in(client: &Client, email: &str, password: &str) -> Result<Value> {
    let body = json!({"email": email, "password": password});
    client.call(Method::POST, "/auth/login", "", body).await
}

impl Exam {
    pub async fn prepare(client: &Client, count: usize) -> Result<Self> {
        let teacher = sign_in(client, "teacher@demo.test", "demo-demo-demo").await?;
        let teacher = text(&teacher, "access_token")?;
        let post = async |path: String, body: Value| client.call(Method::POST, &path, &teacher, body).await;
        let course = text(&post("/courses".into(), json!({"title": "Load"})).await?, "id")?;
        // Tells the students of one run from those of another.
        let run = course.replace('-', "");
        let video = json!({"youtube_id": "abcdefghijk", "title": "Video", "duration_seconds": 3_600});
        let video = text(&post(format!("/courses/{course}/videos"), video).await?, "id")?;
        post(format!("/courses/{course}/publish"), json!({})).await?;
        let exam =
            json!({"title": "Load", "time_limit_seconds": 3_600, "max_attempts": 0, "shuffle_options": true});
        let exam = text(&post(format!("/courses/{course}/exams"), exam).await?, "id")?;
        for number in 0..20 {
            let options: Vec<Value> = (0..4)
                .map(|o| json!({"text": format!("option {o}"), "correct": o == 0}))
                .collect();
            let question =
                json!({"type": "single", "text": format!("Question {number}"), "options": options});
            post(format!("/exams/{exam}/questions"), question).await?;
        }
        post(format!("/exams/{exam}/publish"), json!({})).await?;

        let style = ProgressStyle::with_template("making students {wide_bar} {pos}/{len} {eta}")?;
        let progress = ProgressBar::new(count as u64).with_style(style);
        let students = stream::iter(0..count).map(|number| {
            let (teacher, course, progress, run) =
                (teacher.clone(), course.clone(), progress.clone(), run.clone());
            async move {
                let email = format!("load-{run}-{number}@demo.test");
                let body =
                    json!({"email": email, "password": PASSWORD, "full_name": format!("Student {number}")});
                client
                    .call(Method::POST, "/auth/register", "", body)
                    .await
                    .context("are rate limits off?")?;
                let session = sign_in(client, &email, PASSWORD).await?;
                let enrolment = json!({"user_id": session["user"]["id"]});
                client
                    .call(
                        Method::POST,
                        &format!("/courses/{course}/enrollments"),
                        &teacher,
                        enrolment,
                    )
                    .await?;
                progress.inc(1);
                Ok::<_, anyhow::Error>(Student {
                    token: text(&session, "access_token")?,
                })
            }
        });
        let students: Vec<Student> = students.buffer_unordered(AT_A_TIME).try_collect().await?;
        progress.finish_and_clear();
        Ok(Self {
            course,
            video,
            exam,
            students,
        })
    }
}
