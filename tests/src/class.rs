//! A course full of students, for tests that need many: their accounts are copied in the database, as registering one after the other
//! would take most of the time. Everything after that goes through the public API.

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::people::{PASSWORD, Person, sign_in, student};
use crate::stack::Stack;

/// Hashing passwords is the work of signing in; more at once only wait.
const AT_A_TIME: usize = 8;

/// So many students, signed in and enrolled, with a published course of that teacher.
pub async fn class(stack: &Stack, teacher: &Person, course: &str, count: usize) -> Vec<Api> {
    let first = student(stack, "class").await;
    let mut database = stack.superuser().await;
    let emails: Vec<String> = (0..count).map(|n| format!("class{n}@journey.test")).collect();
    sqlx::query(
        "WITH first AS (
             SELECT u.*, p.hash FROM auth.users u JOIN auth.passwords p ON p.user_id = u.id WHERE u.email_key = $1
         ), new AS (
             INSERT INTO auth.users (id, email, email_key, full_name, role, locale, email_verified_at, created_at, updated_at)
             SELECT gen_random_uuid(), t.email, t.email, t.email, first.role, first.locale, first.email_verified_at, first.created_at, first.updated_at
             FROM first, unnest($2::text[]) AS t (email)
             RETURNING id, updated_at
         )
         INSERT INTO auth.passwords (user_id, hash, updated_at) SELECT new.id, first.hash, new.updated_at FROM new, first",
    )
    .bind(&first.email)
    .bind(&emails)
    .execute(&mut database)
    .await
    .unwrap();
    let content = format!("email\n{}\n", emails.join("\n"));
    let path = format!("/api/v1/courses/{course}/enrollments/import");
    let report = teacher
        .api
        .post(&path, json!({"format": "csv", "content": content}))
        .await
        .expect(200);
    assert_eq!(report["created"], count, "{report}");
    let base = stack.api();
    let base = &base;
    let students: Vec<Api> = stream::iter(&emails)
        .map(|email| async move {
            let person = sign_in(stack, email, PASSWORD).await;
            // One client for all: its connections are shared.
            base.with_token(person.api.token().unwrap_or_default())
        })
        .buffered(AT_A_TIME)
        .collect()
        .await;
    let known = "SELECT count(*) FROM exam.enrollments";
    stack
        .eventually(|| async {
            let count: i64 = sqlx::query_scalar(known)
                .fetch_one(&mut stack.superuser().await)
                .await
                .unwrap();
            (count >= i64::try_from(students.len()).unwrap()).then_some(())
        })
        .await;
    students
}

/// The questions of an attempt, each with its options.
pub fn questions(attempt: &Value) -> Vec<(String, Vec<String>)> {
    let all = attempt["questions"].as_array().unwrap();
    all.iter()
        .map(|question| {
            let options = question["options"].as_array().unwrap();
            let options = options.iter().map(|option| text(option, "id").to_owned());
            (text(question, "id").to_owned(), options.collect())
        })
        .collect()
}
