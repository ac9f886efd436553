//! Who may do what: every route, every role, every relation. A route without a row fails.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

#[path = "authorization/table.rs"]
mod table;

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use journeys::Stack;
use journeys::api::text;
use journeys::people::{PASSWORD, Person, admin, course, sign_in, student, teacher};
use reqwest::Method;
use serde_json::{Value, json};
use table::{DRAFTS, TABLE};

/// Who asks: nobody; a student to whom the thing belongs; another student; the course's teacher; another teacher; an admin.
const ASKERS: [&str; 6] = [
    "anonymous",
    "student",
    "other student",
    "teacher",
    "other teacher",
    "admin",
];

struct World {
    stack: Stack,
    student: Person,
    other_student: Person,
    third: Person,
    /// An import of the admin's that is over.
    operation: String,
    teacher: Person,
    other_teacher: Person,
    admin: Person,
    notification: String,
}

/// Its host does not exist: nothing leaves.
const WEBHOOK: &str = "https://hooks.journey.example/sc";

/// What one request is about, made anew for each cell, as many change it.
#[derive(Default)]
struct Things {
    course: String,
    topic: String,
    video: String,
    category: String,
    enrollment: String,
    section: String,
    /// Only for the routes of exams.
    exam: ExamThings,
    /// Only for the routes of webhooks.
    webhook: String,
    delivery: String,
}

#[derive(Default)]
struct ExamThings {
    exam: String,
    question: String,
    option: String,
    attempt: String,
}

/// Whatever an RPC is about but its caller, it names in its path.
fn names_a_thing(rpc: &str) -> bool {
    let method = contracts::METHODS.iter().find(|method| method.name == rpc);
    method
        .and_then(|method| method.http)
        .is_some_and(|http| http.path.contains('{'))
}

/// Rows about things that are asked at the same time; each of their cells has things of its own.
const AT_ONCE: usize = 4;

impl World {
    async fn things(&self, rpc: &str, is_draft: bool, number: usize) -> Things {
        if !names_a_thing(rpc) {
            return Things::default();
        }
        let course = if is_draft {
            self.teacher
                .api
                .post("/api/v1/courses", json!({"title": "Draft"}))
                .await
                .expect(201)
        } else {
            course(&self.teacher, "Course").await
        };
        let course = text(&course, "id").to_owned();
        let at = format!("/api/v1/courses/{course}");
        let topic = self
            .teacher
            .api
            .post(&format!("{at}/topics"), json!({"title": "Topic"}))
            .await
            .expect(201);
        let video = json!({"youtube_id": "abcdefghijk", "title": "Video"});
        let video = self
            .teacher
            .api
            .post(&format!("{at}/videos"), video)
            .await
            .expect(201);
        let category = json!({"name": format!("Category {number} {is_draft}")});
        let category = self
            .admin
            .api
            .post("/api/v1/categories", category)
            .await
            .expect(201);
        let enrollment = json!({"user_id": self.student.id});
        let enrollment = if is_draft {
            Value::Null
        } else {
            self.teacher
                .api
                .post(&format!("{at}/enrollments"), enrollment)
                .await
                .expect(201)
        };
        // Nobody is in it.
        let section = match rpc {
            "UpdateSection" | "DeleteSection" => {
                let section = json!({"name": "A", "term": "2026-2027 Güz"});
                let path = format!("{at}/sections");
                self.teacher.api.post(&path, section).await.expect(201)
            }
            _ => Value::Null,
        };
        let has_exam = contracts::METHODS
            .iter()
            .any(|m| m.name == rpc && m.service == "exam");
        let exam = if has_exam && !is_draft {
            self.exam_things(&at, rpc).await
        } else {
            ExamThings::default()
        };
        let (webhook, delivery) = if rpc.contains("Webhook") {
            self.webhook_things().await
        } else {
            Default::default()
        };
        Things {
            exam,
            webhook,
            delivery,
            topic: text(&topic, "id").to_owned(),
            video: text(&video, "id").to_owned(),
            category: text(&category, "id").to_owned(),
            enrollment: enrollment["id"].as_str().unwrap_or_default().to_owned(),
            section: section["id"].as_str().unwrap_or_default().to_owned(),
            course,
        }
    }

    async fn webhook_things(&self) -> (String, String) {
        let admin = &self.admin.api;
        let wanted = json!({"url": WEBHOOK, "event_types": ["course.changed"]});
        let made = admin.post("/api/v1/webhooks", wanted).await.expect(201);
        let webhook = text(&made["webhook"], "id").to_owned();
        let path = format!("/api/v1/webhooks/{webhook}/test");
        let queued = admin.post(&path, json!({})).await.expect(202);
        (webhook, text(&queued, "id").to_owned())
    }

    /// A published exam of one question, and an attempt of the student.
    async fn exam_things(&self, course: &str, rpc: &str) -> ExamThings {
        let teacher = &self.teacher.api;
        let exam = teacher
            .post(&format!("{course}/exams"), json!({"title": "Exam"}))
            .await
            .expect(201);
        let at = format!("/api/v1/exams/{}", text(&exam, "id"));
        let question = json!({"type": "single", "text": "?", "options": [{"text": "a", "correct": true}, {"text": "b"}]});
        let question = teacher
            .post(&format!("{at}/questions"), question)
            .await
            .expect(201);
        teacher
            .post(&format!("{at}/publish"), json!({}))
            .await
            .expect(200);
        let attempt = self
            .student
            .api
            .post(&format!("{at}/attempts"), json!({}))
            .await
            .expect(201);
        let attempt = text(&attempt, "id").to_owned();
        if rpc == "GradeAnswer" {
            let path = format!("/api/v1/exam-attempts/{attempt}/submit");
            self.student.api.post(&path, json!({})).await.expect(200);
        }
        ExamThings {
            exam: text(&exam, "id").to_owned(),
            option: text(&question["options"][0], "id").to_owned(),
            question: text(&question, "id").to_owned(),
            attempt,
        }
    }

    fn id_in_path(&self, rpc: &str, things: &Things) -> String {
        match rpc {
            "DeleteSession"
            | "GetUser"
            | "UpdateUser"
            | "ImpersonateUser"
            | "DeleteServiceAccount"
            | "ListUserSessions"
            | "DeleteUserSession"
            | "DeleteUserSessions"
            | "DeleteUserTotp"
            | "ExportUser"
            | "DeleteIdentity" => self.third.id.clone(),
            "GetOperation" | "GetOperationResult" | "DeleteUser" => self.operation.clone(),
            "PutRole" => "assistant".to_owned(),
            "GetTopic" | "UpdateTopic" | "DeleteTopic" => things.topic.clone(),
            "GetVideo" | "UpdateVideo" | "DeleteVideo" => things.video.clone(),
            "GetCategory" | "UpdateCategory" | "DeleteCategory" => things.category.clone(),
            "GetEnrollment" | "UpdateEnrollment" => things.enrollment.clone(),
            "UpdateSection" | "DeleteSection" => things.section.clone(),
            "MarkRead" => self.notification.clone(),
            "GetExam" | "UpdateExam" | "DeleteExam" | "PublishExam" => things.exam.exam.clone(),
            "GetQuestion" | "ListQuestionVersions" | "UpdateQuestion" | "DeleteQuestion" => {
                things.exam.question.clone()
            }
            "GetAttempt" | "SubmitAttempt" | "GetResult" => things.exam.attempt.clone(),
            "GetWebhook"
            | "UpdateWebhook"
            | "DeleteWebhook"
            | "RotateWebhookSecret"
            | "TestWebhook"
            | "ListWebhookDeliveries" => things.webhook.clone(),
            "ReplayWebhookDelivery" => things.delivery.clone(),
            _ => things.course.clone(),
        }
    }

    fn body(&self, rpc: &str, things: &Things, cell: usize) -> Value {
        match rpc {
            "Register" => {
                json!({"email": format!("new{cell}@journey.test"), "password": "long enough secret", "full_name": "New"})
            }
            "Login" => json!({"email": "nobody@journey.test", "password": "wrong"}),
            "ImportUsers" => json!({"content": "email,full_name\nmade@journey.test,Made\n"}),
            "IssueAccountToken" => json!({"client_id": self.third.id, "client_secret": "sa_nonsense"}),
            "ConfirmEmail" => json!({"token": "ce_nonsense"}),
            "ChangeEmail" => {
                json!({"new_email": format!("moved{cell}@journey.test"), "current_password": "wrong"})
            }
            "ConfirmTotp" | "RenewRecoveryCodes" => json!({"code": "000000"}),
            "ImpersonateUser" => json!({"reason": "a ticket"}),
            "CreateServiceAccount" => json!({"name": "registrar", "permissions": ["users:read"]}),
            "FinishOidc" => json!({"code": "nonsense", "state": "os_nonsense", "verifier": "ov_nonsense"}),
            "Refresh" => json!({"refresh_token": "rt_nonsense"}),
            "VerifyEmail" => json!({"token": "ev_nonsense"}),
            "RequestPasswordReset" => json!({"email": "nobody@journey.test"}),
            "ConfirmPasswordReset" => json!({"token": "pr_nonsense", "new_password": "long enough secret"}),
            "ChangePassword" => json!({"current_password": "wrong", "new_password": "long enough secret"}),
            "CreateUser" => {
                json!({"email": format!("made{cell}@journey.test"), "full_name": "Made", "role": "student"})
            }
            "PutRole" => json!({"permissions": ["users:read"]}),
            "CreateCourse" | "CreateTopic" | "UpdateCourse" | "UpdateTopic" | "UpdateVideo" => {
                json!({"title": "T"})
            }
            "CreateVideo" => json!({"title": "T", "youtube_id": "lmnopqrstuv"}),
            "ReorderTopics" => json!({"topic_ids": [things.topic]}),
            "CreateCategory" | "UpdateCategory" => json!({"name": format!("Name {cell}")}),
            "CreateEnrollment" => json!({"user_id": self.third.id}),
            "ImportEnrollments" => {
                json!({"format": "csv", "content": format!("email\n{}", self.third.email)})
            }
            "CreateSection" | "UpdateSection" => json!({"name": "B"}),
            "UpdateEnrollment" => json!({"status": "suspended"}),
            "ReportProgress" => json!({"watched_seconds": 5, "total_seconds": 100}),
            "CreateExam" | "UpdateExam" => json!({"title": "T"}),
            "CreateQuestion" | "CreateBankQuestion" => {
                json!({"type": "true_false", "text": "T"})
            }
            "UpdateQuestion" => json!({"text": "T"}),
            "ImportQuestions" => json!({"format": "gift", "content": "T {TRUE}"}),
            "SaveAnswer" => json!({"sequence": 1, "option_ids": [things.exam.option]}),
            "PutAccommodation" | "PutAccommodationGroup" => json!({"extra_seconds": 60}),
            "GradeAnswer" => json!({"score": 1}),
            "CreateReport" => json!({"kind": "results"}),
            "CreateAnnouncement" => json!({"title": "T", "body": "B"}),
            "CreateWebhook" => json!({"url": WEBHOOK, "event_types": ["course.changed"]}),
            _ => json!({}),
        }
    }

    /// Wrong cells of a table, as text.
    async fn wrong(&self, table: &[(&str, [u16; 6])], is_draft: bool) -> Vec<String> {
        let first = usize::from(is_draft) * 1_000;
        let rows = table.iter().enumerate();
        let rows = rows.map(|(row, (rpc, expected))| (*rpc, expected, first + row * 6));
        let (things, callers): (Vec<_>, Vec<_>) = rows.partition(|(rpc, ..)| names_a_thing(rpc));
        let mut wrong = Vec::new();
        // What is about the caller alone follows on what that caller did before.
        for (rpc, expected, cell) in callers {
            wrong.push(self.wrong_in_row(rpc, expected, is_draft, cell).await);
        }
        let things = things
            .into_iter()
            .map(|(rpc, expected, cell)| self.wrong_in_row(rpc, expected, is_draft, cell));
        wrong.extend(stream::iter(things).buffered(AT_ONCE).collect::<Vec<_>>().await);
        wrong.concat()
    }

    async fn wrong_in_row(
        &self,
        rpc: &str,
        expected: &[u16; 6],
        is_draft: bool,
        first: usize,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let method = contracts::METHODS.iter().find(|m| m.name == rpc).unwrap();
        let http = method.http.unwrap();
        for (column, expected) in expected.iter().enumerate() {
            let cell = first + column;
            let things = self.things(rpc, is_draft, cell).await;
            let api = match column {
                0 => self.stack.api(),
                1 => self.student.api.clone(),
                2 => self.other_student.api.clone(),
                3 => self.teacher.api.clone(),
                4 => self.other_teacher.api.clone(),
                _ => self.admin.api.clone(),
            };
            let id = self.id_in_path(rpc, &things);
            let path = http
                .path
                .replace("{id}", &id)
                .replace("{course_id}", &id)
                .replace("{name}", &id)
                .replace("{provider}", "nowhere")
                .replace("{session_id}", &self.third.id)
                .replace("{video_id}", &things.video)
                .replace("{exam_id}", &things.exam.exam)
                .replace("{attempt_id}", &things.exam.attempt)
                .replace("{question_id}", &things.exam.question)
                .replace("{user_id}", &self.student.id);
            let body = http.has_body.then(|| self.body(rpc, &things, cell));
            let verb = Method::from_bytes(http.verb.as_bytes()).unwrap();
            let answer = api.send(verb, &path, body, &[]).await;
            if answer.status != *expected {
                let asker = ASKERS[column];
                wrong.push(format!(
                    "{rpc} by {asker}: {} instead of {expected}: {}",
                    answer.status, answer.body
                ));
            }
        }
        wrong
    }
}

#[test]
fn every_route_has_a_row() {
    let routes: BTreeSet<&str> = contracts::METHODS
        .iter()
        .filter(|m| m.http.is_some())
        .map(|m| m.name)
        .collect();
    let rows: BTreeSet<&str> = TABLE.iter().map(|(rpc, _)| *rpc).collect();
    assert_eq!(routes, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_of_the_table_holds() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let (ada, berk, can) = (
        student(&stack, "ada").await,
        student(&stack, "berk").await,
        student(&stack, "can").await,
    );
    let (deniz, ece) = (
        teacher(&stack, &boss, "deniz").await,
        teacher(&stack, &boss, "ece").await,
    );
    let inbox = ada.api.get("/api/v1/users/me/notifications").await.expect(200);
    let file = "email,full_name\nfirst@journey.test,First\n";
    let begun = boss
        .api
        .post_file("/api/v1/users/import", "text/csv", file)
        .await
        .expect(202);
    let operation = text(&begun, "id").to_owned();
    let path = format!("/api/v1/operations/{operation}");
    stack
        .eventually(|| async {
            (boss.api.get(&path).await.expect(200)["state"] == "succeeded").then_some(())
        })
        .await;
    let world = World {
        operation,
        notification: text(&inbox["notifications"][0], "id").to_owned(),
        stack,
        student: ada,
        other_student: berk,
        third: can,
        teacher: deniz,
        other_teacher: ece,
        admin: boss,
    };
    let mut wrong = world.wrong(DRAFTS, true).await;
    let [rest @ .., logout, delete_me] = TABLE else {
        unreachable!()
    };
    wrong.extend(world.wrong(rest, false).await);
    let anonymous = world.stack.api().delete("/api/v1/users/me").await.status;
    if anonymous != delete_me.1[0] {
        wrong.push(format!("DeleteMe by nobody: {anonymous}"));
    }
    for (column, person) in [
        &world.student,
        &world.other_student,
        &world.teacher,
        &world.other_teacher,
        &world.admin,
    ]
    .iter()
    .enumerate()
    {
        let status = person.api.post("/api/v1/auth/logout", json!({})).await.status;
        if status != logout.1[column + 1] {
            wrong.push(format!("Logout by {}: {status}", ASKERS[column + 1]));
        }
        let again = sign_in(&world.stack, &person.email, PASSWORD).await;
        let status = again.api.delete("/api/v1/users/me").await.status;
        if status != delete_me.1[column + 1] {
            wrong.push(format!("DeleteMe by {}: {status}", ASKERS[column + 1]));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong cells:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
