//! Accounts for tests, made through the public API alone.

use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::stack::Stack;

pub const PASSWORD: &str = "a long enough secret";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub api: Api,
    pub refresh_token: String,
}

/// Signs in with a password.
pub async fn sign_in(stack: &Stack, email: &str, password: &str) -> Person {
    let answer = stack
        .api()
        .post(
            "/api/v1/auth/login",
            json!({"email": email, "password": password}),
        )
        .await;
    let body = answer.expect(200);
    Person {
        id: text(&body["user"], "id").to_owned(),
        email: email.to_owned(),
        api: stack.api().with_token(text(&body, "access_token")),
        refresh_token: text(&body, "refresh_token").to_owned(),
    }
}

/// Registers a student, without verifying the address.
pub async fn register(stack: &Stack, name: &str) -> String {
    let email = format!("{name}@journey.test");
    let body = json!({"email": email, "password": PASSWORD, "full_name": name, "locale": "en"});
    stack.api().post("/api/v1/auth/register", body).await.expect(201);
    email
}

/// Registers a student, verifies the address with the link from the mail, and signs in.
pub async fn student(stack: &Stack, name: &str) -> Person {
    let email = register(stack, name).await;
    verify(stack, &email).await;
    sign_in(stack, &email, PASSWORD).await
}

/// Follows the link in the verification mail.
pub async fn verify(stack: &Stack, email: &str) {
    let mail = stack
        .eventually(|| async { stack.mailbox().find(email, "verify_email").pop() })
        .await;
    stack
        .api()
        .post("/api/v1/auth/verify-email", json!({"token": mail.token()}))
        .await
        .expect(204);
}

/// A teacher, made by an admin.
pub async fn teacher(stack: &Stack, admin: &Person, name: &str) -> Person {
    let person = student(stack, name).await;
    let path = format!("/api/v1/users/{}", person.id);
    admin
        .api
        .patch(&path, json!({"role": "teacher"}))
        .await
        .expect(200);
    sign_in(stack, &person.email, PASSWORD).await
}

/// The first admin: the address of `SC_BOOTSTRAP_ADMIN_EMAIL`, verified.
pub async fn admin(stack: &Stack) -> Person {
    student(stack, crate::stack::ADMIN).await
}

/// A published course of that teacher.
pub async fn course(teacher: &Person, title: &str) -> Value {
    course_with(teacher, json!({"title": title})).await
}

/// A published course with the given fields.
pub async fn course_with(teacher: &Person, fields: Value) -> Value {
    let draft = teacher.api.post("/api/v1/courses", fields).await.expect(201);
    let path = format!("/api/v1/courses/{}/publish", text(&draft, "id"));
    teacher.api.post(&path, json!({})).await.expect(200)
}

/// Enrols somebody.
pub async fn enroll(person: &Person, course: &str) {
    let path = format!("/api/v1/courses/{course}/enroll");
    person.api.post(&path, json!({})).await.expect(201);
}

/// A published exam of single-choice questions whose first option is right.
pub async fn exam(teacher: &Person, course: &str, questions: usize, fields: Value) -> Value {
    let mut exam = json!({"title": "Exam"});
    if let (Some(all), Some(more)) = (exam.as_object_mut(), fields.as_object()) {
        all.extend(more.clone());
    }
    let made = teacher
        .api
        .post(&format!("/api/v1/courses/{course}/exams"), exam)
        .await
        .expect(201);
    let at = format!("/api/v1/exams/{}", text(&made, "id"));
    for number in 0..questions {
        let question = json!({"type": "single", "text": format!("Question {number}"), "points": 2,
            "options": [{"text": "right", "correct": true}, {"text": "wrong"}, {"text": "neither"}]});
        teacher
            .api
            .post(&format!("{at}/questions"), question)
            .await
            .expect(201);
    }
    teacher
        .api
        .post(&format!("{at}/publish"), json!({}))
        .await
        .expect(200)
}
