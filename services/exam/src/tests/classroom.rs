use std::sync::Arc;
use std::time::Duration;

use access_token::permissions::COURSES_WRITE;
use access_token::{Caller, User};
use clock::Clock;
use futures::future::BoxFuture;
use postgres::{Database, PageTokens, WriteTx};
use problem::Problem;
use roster::Roster;
use rpc_client::{RpcClient, RpcSettings};
use sqlx::AssertSqlSafe;
use test_support::{TestDatabase, eventually};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use typed_id::{AttemptId, CourseId, ExamId, QuestionId, SessionId, UserId, new_uuid};

use crate::app::Exams;
use crate::config::{Settings, Writes};
use crate::domain::answer::Answer;
use crate::domain::question::{Body, Choice, Content};
use crate::domain::score::{FULL, Score};
use crate::storage::attempts::{self, Attempt};
use crate::usecases::ChangeError;
use crate::usecases::exams::{Changes, create};
use crate::usecases::publish_exam::publish_exam;
use crate::usecases::questions::{self, Place};
use crate::usecases::save_answer::{Saved, save_answer};
use crate::usecases::start_attempt::{Started, start_attempt};
use crate::usecases::submit_attempt::submit_attempt;

/// A course with a teacher, on a database of its own. The owners of the projections are not there.
pub struct Classroom {
    pub app: Arc<Exams>,
    pub course: CourseId,
    pub teacher: Caller,
    _database: TestDatabase,
}

fn now() -> OffsetDateTime {
    Clock::system().now()
}

pub fn caller(id: UserId) -> Caller {
    Caller::User(Arc::new(User {
        id,
        session_id: SessionId::new(now()),
        impersonator: None,
        token_id: String::new(),
        key_id: String::new(),
        roles: Vec::new(),
        // A student with it is nobody's teacher yet.
        permissions: vec![COURSES_WRITE.to_owned()].into(),
        issued_at: now(),
        expires_at: now() + time::Duration::hours(1),
    }))
}

/// Nobody listens there.
fn nobody(name: &'static str) -> RpcClient {
    let settings: RpcSettings = serde_json::from_str(r#"{"timeout_seconds": 1, "connections": 1}"#).unwrap();
    RpcClient::new(name, "http://127.0.0.1:1", &settings, None).unwrap()
}

/// The service over a database.
pub fn assemble(db: Database) -> Exams {
    assemble_with(db, 500)
}

/// As [`assemble`], with so many answers of a batch at most.
pub fn assemble_with(db: Database, max_batch: usize) -> Exams {
    let roster = Roster::new(
        db.clone(),
        nobody("auth"),
        nobody("catalog"),
        nobody("enrollment"),
    );
    let settings = Settings {
        grace_seconds: 5,
        close_after_seconds: 2,
        writes: Writes {
            writers: 2,
            max_batch,
        },
    };
    Exams::new(db, Clock::system(), PageTokens::new(b"a key"), roster, settings)
}

impl Classroom {
    pub async fn open() -> Self {
        let database = TestDatabase::new("exam").await;
        let app = Arc::new(assemble(database.database()));
        let (course, teacher) = (CourseId::new(now()), UserId::new(now()));
        let room = Self {
            app,
            course,
            teacher: caller(teacher),
            _database: database,
        };
        room.execute(format!(
            "INSERT INTO exam.courses VALUES ('{course}', 1, 'Course', '{teacher}', true, false)"
        ))
        .await;
        room
    }

    pub async fn execute(&self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(self.app.db.primary())
            .await
            .unwrap();
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.app.db.primary())
            .await
            .unwrap()
    }

    /// Students who are enrolled.
    pub async fn students(&self, count: usize) -> Vec<Caller> {
        let ids: Vec<UserId> = (0..count).map(|_| UserId::new(now())).collect();
        let rows: Vec<String> = ids
            .iter()
            .map(|id| format!("('{id}', '{}', 1, 'active')", self.course))
            .collect();
        self.execute(format!("INSERT INTO exam.enrollments VALUES {}", rows.join(", ")))
            .await;
        ids.into_iter().map(caller).collect()
    }

    pub async fn student(&self) -> Caller {
        self.students(1).await.remove(0)
    }

    /// A published exam of so many single-choice questions, whose first option is right.
    pub async fn exam(&self, questions: usize, changes: Changes) -> ExamId {
        let changes = Changes {
            title: Some("Exam".into()),
            ..changes
        };
        let exam = create(&self.app, &self.teacher, self.course, changes)
            .await
            .unwrap()
            .id();
        for number in 0..questions {
            self.question(exam, single(&format!("question {number}"))).await;
        }
        publish_exam(&self.app, &self.teacher, exam).await.unwrap();
        exam
    }

    pub async fn question(&self, exam: ExamId, content: Content) -> QuestionId {
        let made = questions::create(&self.app, &self.teacher, Place::Exam(exam), None, content).await;
        QuestionId(made.unwrap().id)
    }

    pub async fn start(&self, student: &Caller, exam: ExamId) -> Result<Started, Problem> {
        start_attempt(&self.app, student, exam).await
    }

    /// Chooses the n-th option of a question.
    pub async fn choose(
        &self,
        student: &Caller,
        attempt: &Attempt,
        question: usize,
        option: usize,
        sequence: i32,
    ) -> Result<Saved, Problem> {
        let id = attempt.question_ids[question];
        let answer = self.option(attempt, id, option).await;
        save_answer(&self.app, student, attempt.id, id, sequence, answer).await
    }

    pub async fn option(&self, attempt: &Attempt, question: QuestionId, option: usize) -> Answer {
        let revision = self
            .app
            .snapshots
            .revision(attempt.exam_id, attempt.revision)
            .await
            .unwrap();
        let options = revision.question(question).unwrap().content.body.options();
        Answer {
            option_ids: vec![options[option].id],
            ..Answer::default()
        }
    }

    pub async fn submit(&self, student: &Caller, attempt: AttemptId) -> Result<Attempt, Problem> {
        submit_attempt(&self.app, student, attempt).await
    }

    pub async fn stored(&self, id: AttemptId) -> Attempt {
        attempts::by_id(self.app.db.primary(), id).await.unwrap().unwrap()
    }

    /// Lets time pass for an attempt: it began that much earlier.
    pub async fn age(&self, attempt: AttemptId, by: Duration) {
        let seconds = by.as_secs_f64();
        self.execute(format!(
            "UPDATE exam.attempts SET started_at = started_at - make_interval(secs => {seconds}),
                 deadline = deadline - make_interval(secs => {seconds}) WHERE id = '{attempt}'"
        ))
        .await;
    }

    /// Begins `other` when `work` has its locks, and commits `work` when `other` waits for one of them.
    pub async fn while_locked<T>(
        &self,
        work: impl for<'a> FnOnce(&'a mut WriteTx) -> BoxFuture<'a, Result<(), ChangeError>> + Send + 'static,
        other: impl Future<Output = T>,
    ) -> T {
        let (locked, is_locked) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let working = self.app.db.write(move |mut tx| async move {
            work(&mut tx).await?;
            locked.send(()).unwrap();
            may_go_on.await.unwrap();
            Ok::<_, ChangeError>(tx.commit(()).await?)
        });
        let other = async {
            is_locked.await.unwrap();
            other.await
        };
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let releasing = async {
            eventually(Duration::from_secs(8), || async {
                (self.count(waiting).await > 0).then_some(())
            })
            .await;
            go_on.send(()).unwrap();
        };
        let (worked, done, ()) = tokio::join!(working, other, releasing);
        worked.unwrap();
        done
    }
}

pub fn single(text: &str) -> Content {
    let option = |place: u32| Choice {
        id: new_uuid(now()),
        text: format!("option {place}"),
        credit: if place == 0 { FULL } else { 0 },
        feedback: String::new(),
    };
    Content {
        text: text.into(),
        points: Score(i64::from(FULL)),
        tags: Vec::new(),
        feedback: String::new(),
        body: Body::Single {
            options: (0..4).map(option).collect(),
        },
    }
}

pub fn code(result: &Result<impl Sized, Problem>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(problem) => problem.code().name,
    }
}

/// How often a test repeats itself: more by an environment variable, for a long run.
#[expect(clippy::disallowed_methods, reason = "the one setting of a test")]
pub fn repetitions(name: &str, usual: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usual)
}
