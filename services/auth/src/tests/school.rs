use std::sync::Arc;

use access_token::{Caller, Revocations, Verifier};
use cache::{Redis, RedisSettings};
use clock::Clock;
use contracts::Event;
use contracts::auth::v1::RegisterRequest;
use postgres::PageTokens;
use problem::Problem;
use serde_json::json;
use test_support::{TestDatabase, TestRedis, fixed_clock};
use typed_id::UserId;

use crate::app::{Auth, Parts};
use crate::config::Settings;
use crate::storage::users::{self, Changes, User};
use crate::usecases::grant::Tokens;
use crate::usecases::login::{SignIn, login};
use crate::usecases::paging::Paging;
use crate::usecases::reach::Reach;
use crate::usecases::register::register;
use crate::usecases::update_user::update_user;
use crate::usecases::verify_email::verify_email;

/// The first page of a list, as long as pages get.
pub const FIRST_PAGE: Paging<'static> = Paging {
    size: 100,
    token: None,
};
pub const PASSWORD: &str = "a long enough secret";
pub const FIRST_ADMIN: &str = "admin@school.test";
pub const ENCRYPTION_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The service without its server, on a database of its own.
pub struct School {
    pub auth: Arc<Auth>,
    pub clock: Clock,
    pub database: TestDatabase,
    redis: TestRedis,
}

pub fn settings(encryption_key: &str) -> Settings {
    let settings = json!({
        "bootstrap_admin_email": FIRST_ADMIN,
        "keys": {"encryption_key": encryption_key},
        "service_secrets": {"catalog": "the secret of the catalogue"},
        "access": {"ttl_seconds": 900},
        "sessions": {"absolute_days": 30, "idle_days": 14},
        "passwords": {"parallel": 0, "queue": 500},
        "admins_need_second_factor": false,
        "oidc": {},
    });
    serde_json::from_value(settings).unwrap()
}

impl School {
    pub async fn open() -> Self {
        Self::open_at(fixed_clock()).await
    }

    pub async fn open_at(clock: Clock) -> Self {
        Self::open_with(clock, settings(ENCRYPTION_KEY)).await
    }

    pub async fn open_with(clock: Clock, settings: Settings) -> Self {
        let (database, redis) = (TestDatabase::new("auth").await, TestRedis::new());
        let auth = assemble(&database, &redis, &clock, settings);
        auth.ensure_roles().await.unwrap();
        auth.keys.refresh().await.unwrap();
        Self {
            auth: Arc::new(auth),
            clock,
            database,
            redis,
        }
    }

    /// A process beside this one.
    pub fn other_instance(&self, encryption_key: &str) -> Auth {
        assemble(&self.database, &self.redis, &self.clock, settings(encryption_key))
    }

    pub async fn register(&self, email: &str) -> User {
        register(&self.auth, request(email)).await.unwrap()
    }

    /// A verified account with a role.
    pub async fn user(&self, email: &str, role: &str) -> User {
        let user = self.register(email).await;
        let token = self.verification(&user).await;
        verify_email(&self.auth, token).await.unwrap();
        if role == "student" {
            return user;
        }
        let changes = Changes {
            role: Some(role.to_owned()),
            ..Changes::default()
        };
        let user = update_user(&self.auth, &Reach::SYSTEM, user.id, changes)
            .await
            .unwrap();
        self.clock.advance(std::time::Duration::from_secs(1));
        user
    }

    pub async fn sign_in(&self, email: &str) -> Tokens {
        login(&self.auth, sign_in(email, PASSWORD)).await.unwrap()
    }

    /// The secret in the latest verification mail.
    pub async fn verification(&self, user: &User) -> String {
        let mails = self
            .events::<contracts::events::v1::UserVerificationRequested>()
            .await;
        let own = mails
            .into_iter()
            .rfind(|mail| mail.user_id == user.id.to_string());
        own.unwrap().token
    }

    /// The secret in the latest mail about a password.
    pub async fn reset(&self, user: &User) -> String {
        let mails = self
            .events::<contracts::events::v1::UserPasswordResetRequested>()
            .await;
        let own = mails
            .into_iter()
            .rfind(|mail| mail.user_id == user.id.to_string());
        own.unwrap().token
    }

    /// What was told to other services, in its order.
    pub async fn events<E: Event>(&self) -> Vec<E> {
        let payloads: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT payload FROM auth.outbox WHERE type = $1 ORDER BY due_at, id")
                .bind(E::TYPE)
                .fetch_all(self.auth.db.primary())
                .await
                .unwrap();
        payloads
            .iter()
            .map(|payload| serde_json::from_slice(payload).unwrap())
            .collect()
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.auth.db.primary())
            .await
            .unwrap()
    }

    pub async fn stored(&self, id: UserId) -> User {
        users::by_id(self.auth.db.primary(), id).await.unwrap().unwrap()
    }

    /// Verifies as every other process does.
    pub async fn verify(&self, access_token: &str) -> Result<Caller, Problem> {
        let verifier = Verifier::new(
            self.auth.keys.clone(),
            self.auth.revocations.clone(),
            "student-coaching",
            "student-coaching-api",
            self.clock.clone(),
        );
        let verifier = verifier.serving("student-coaching-api", "auth");
        verifier.verify(access_token).await
    }

    pub async fn caller(&self, tokens: &Tokens) -> Caller {
        self.verify(&tokens.access_token).await.unwrap()
    }

    pub fn is_revoked(outcome: &Result<Caller, Problem>) -> bool {
        outcome
            .as_ref()
            .is_err_and(|problem| problem.code() == &problem::codes::INVALID_TOKEN)
    }
}

/// What is shown with nothing but a password.
pub fn sign_in<'a>(email: &'a str, password: &'a str) -> SignIn<'a> {
    SignIn {
        email,
        password,
        ..SignIn::default()
    }
}

pub fn request(email: &str) -> RegisterRequest {
    RegisterRequest {
        email: email.into(),
        password: PASSWORD.into(),
        full_name: "Ada Yılmaz".into(),
        locale: Some("tr".into()),
    }
}

fn assemble(database: &TestDatabase, redis: &TestRedis, clock: &Clock, settings: Settings) -> Auth {
    let redis = RedisSettings {
        url: redis.url().into(),
        prefix: redis.prefix().into(),
    };
    let parts = Parts {
        db: database.database_with(clock.clone()),
        clock: clock.clone(),
        pages: PageTokens::new(b"a key of thirty-two bytes or more"),
        redis: Redis::connect(&redis).unwrap(),
        revocations: Revocations::default(),
        issuer: "student-coaching".into(),
        audience: "student-coaching-api".into(),
        data_holders: Vec::new(),
        operation_holders: Vec::new(),
        operation_limits: service_runtime::OperationLimits {
            soft_limit_seconds: 1_500,
            hard_limit_seconds: 1_800,
        },
    };
    Auth::assemble(parts, settings).unwrap()
}
