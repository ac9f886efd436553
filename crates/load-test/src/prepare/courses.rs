//! Courses to browse and to enrol in; one with videos and an exam.

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{AT_A_TIME, Wanted, bar};
use crate::client::{Client, text};
use crate::school::School;

const VIDEOS: usize = 20;
const VIDEO_SECONDS: i32 = 9_999;
const QUESTIONS: usize = 20;
const EXAM_SECONDS: i32 = 4 * 3_600;

/// Whether the stack still has the school of an earlier run.
pub async fn is_there(client: &Client, school: &School) -> bool {
    let path = format!("/courses/{}", school.course);
    matches!(client.send("GET", &path, "", None).await, Ok((200, _)))
}

pub async fn make(client: &Client, teacher: &str, school: &mut School, wanted: Wanted) -> Result<()> {
    if school.course.is_empty() {
        *school = main_course(client, teacher).await?;
    }
    let needed = wanted
        .courses
        .max(school.most_enrolled(wanted.enrolling) + wanted.places);
    let missing = needed.saturating_sub(school.courses.len());
    if missing == 0 {
        return Ok(());
    }
    let progress = bar("making courses", missing)?;
    let known = school.courses.len();
    let making = stream::iter(known..known + missing).map(|number| {
        let progress = &progress;
        async move {
            let body = json!({
                "title": format!("{} {number}", TITLES[number % TITLES.len()]),
                "description": "Haftada iki saat. Konular örneklerle anlatılır, her konunun sonunda bir sınav vardır. ".repeat(3),
            });
            let course = text(&client.call("POST", "/courses", teacher, body).await?, "id")?;
            let publish = format!("/courses/{course}/publish");
            client.call("POST", &publish, teacher, json!({})).await?;
            progress.inc(1);
            Ok::<_, anyhow::Error>(course)
        }
    });
    let made: Vec<String> = making.buffered(AT_A_TIME).try_collect().await?;
    progress.finish_and_clear();
    school.courses.extend(made);
    Ok(())
}

const TITLES: [&str; 8] = [
    "Matematik",
    "Fizik",
    "İstanbul Tarihi",
    "Edebiyat",
    "Kimya",
    "Biyoloji",
    "Coğrafya",
    "Felsefe",
];

async fn main_course(client: &Client, teacher: &str) -> Result<School> {
    let post = async |path: String, body: Value| client.call("POST", &path, teacher, body).await;
    let course = text(&post("/courses".into(), json!({"title": "Yük"})).await?, "id")?;
    let mut videos = Vec::new();
    for number in 0..VIDEOS {
        let video = json!({
            "youtube_id": format!("load{number:07}"),
            "title": format!("Video {number}"),
            "duration_seconds": VIDEO_SECONDS,
        });
        videos.push(text(
            &post(format!("/courses/{course}/videos"), video).await?,
            "id",
        )?);
    }
    post(format!("/courses/{course}/publish"), json!({})).await?;
    let exam = json!({
        "title": "Yük",
        "time_limit_seconds": EXAM_SECONDS,
        "max_attempts": 0,
        "shuffle_options": true,
    });
    let exam = text(&post(format!("/courses/{course}/exams"), exam).await?, "id")?;
    for number in 0..QUESTIONS {
        let options: Vec<Value> = (0..4)
            .map(|option| json!({"text": format!("option {option}"), "correct": option == 0}))
            .collect();
        let question = json!({"type": "single", "text": format!("Question {number}"), "options": options});
        post(format!("/exams/{exam}/questions"), question).await?;
    }
    post(format!("/exams/{exam}/publish"), json!({})).await?;
    Ok(School {
        // Of the later, random part of the id.
        run: course.rsplit('-').next().unwrap_or_default().to_owned(),
        course,
        videos,
        exam,
        ..School::default()
    })
}
