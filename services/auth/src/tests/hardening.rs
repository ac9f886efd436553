//! Guessing, second factors, acting for others, programs, and what the audit log keeps of it.

use std::time::Duration;

use access_token::permissions;
use contracts::events::v1::UserSecurityChanged;
use futures::future::join_all;
use problem::codes;
use request_context::RequestContext;
use totp_rs::{Builder, Secret, Totp};
use typed_id::UserId;

use super::school::{FIRST_PAGE, PASSWORD, School, sign_in};
use crate::storage::audit::{Filter, keep_log};
use crate::storage::roles::Role;
use crate::storage::users::Changes;
use crate::usecases::audit;
use crate::usecases::change_password::change_password;
use crate::usecases::confirm_password_reset::confirm_password_reset;
use crate::usecases::impersonate::impersonate;
use crate::usecases::login::{SignIn, login};
use crate::usecases::paging::Paging;
use crate::usecases::put_role::put_role;
use crate::usecases::reach::Reach;
use crate::usecases::refresh::refresh;
use crate::usecases::request_password_reset::request_password_reset;
use crate::usecases::update_user::update_user;
use crate::usecases::{second_factor, service_accounts};

const WRONG: &str = "not the password";

impl School {
    pub async fn actions(&self, target: &str) -> Vec<String> {
        let filter = Filter {
            target: Some(target.to_owned()),
            ..Filter::default()
        };
        let page = audit::list(&self.auth, filter, FIRST_PAGE).await.unwrap();
        page.items.into_iter().rev().map(|entry| entry.action).collect()
    }

    pub fn app(secret: &str) -> Totp {
        let secret = Secret::try_from_base32(secret).unwrap();
        Builder::new()
            .with_secret(secret)
            .with_account_name("x")
            .build()
            .unwrap()
    }

    pub fn code(&self, app: &Totp) -> String {
        let now = u64::try_from(self.clock.now().unix_timestamp()).unwrap();
        app.generate(now).to_string()
    }
}

pub fn code_of<T>(outcome: Result<T, problem::Problem>) -> Option<&'static str> {
    outcome.err().map(|problem| problem.code().name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_guesses_costs_no_more_hashes_than_the_limit() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    for address in ["ada@school.test", "nobody@school.test"] {
        let guesses = (0..200).map(|_| login(&school.auth, sign_in(address, WRONG)));
        let answers: Vec<_> = join_all(guesses).await.into_iter().map(code_of).collect();
        let tried = answers
            .iter()
            .filter(|code| **code == Some("invalid_credentials"))
            .count();
        let refused = answers
            .iter()
            .filter(|code| **code == Some("rate_limited"))
            .count();
        assert_eq!((tried, refused), (10, 190), "{address}");
    }
    let failures = school.actions(&ada.id.to_string()).await;
    assert_eq!(failures, vec!["sign_in.failed"; 10]);
    // A restart gives no fresh tries, and neither does the right password while there are none.
    let other = school.other_instance(super::school::ENCRYPTION_KEY);
    other.keys.refresh().await.unwrap();
    assert_eq!(
        code_of(login(&other, sign_in("ada@school.test", PASSWORD)).await),
        Some("rate_limited")
    );
    school.clock.advance(Duration::from_secs(12));
    school.sign_in("ada@school.test").await;
    // The right password gives all of them back.
    for _ in 0..10 {
        let wrong = login(&school.auth, sign_in("ada@school.test", WRONG)).await;
        assert_eq!(code_of(wrong), Some("invalid_credentials"));
    }
}

#[tokio::test]
async fn nobody_locks_an_owner_out_of_a_known_device() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let phone = school.sign_in("ada@school.test").await;
    let at_home = RequestContext {
        client_ip: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some("a browser".into()),
        ..RequestContext::default()
    };
    let own = sign_in("ada@school.test", PASSWORD);
    request_context::scope(at_home.clone(), login(&school.auth, own))
        .await
        .unwrap();
    let mut attack = Vec::new();
    for _ in 0..11 {
        attack.push(code_of(
            login(&school.auth, sign_in("ada@school.test", WRONG)).await,
        ));
    }
    assert_eq!(attack.last(), Some(&Some("rate_limited")));
    assert_eq!(code_of(login(&school.auth, own).await), Some("rate_limited"));
    let with_token = SignIn {
        device_token: Some(&phone.device_token),
        ..own
    };
    login(&school.auth, with_token).await.unwrap();
    request_context::scope(at_home, login(&school.auth, own))
        .await
        .unwrap();
    // Another's token, or one made up, is none.
    school.register("can@school.test").await;
    let foreign = school.sign_in("can@school.test").await.device_token;
    for token in [foreign.as_str(), "dt_AAAA", ""] {
        let shown = SignIn {
            device_token: Some(token),
            ..own
        };
        assert_eq!(code_of(login(&school.auth, shown).await), Some("rate_limited"));
    }
}

#[tokio::test]
async fn who_holds_a_session_cannot_find_the_password_out() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let mut answers = Vec::new();
    for _ in 0..11 {
        answers.push(code_of(
            change_password(&school.auth, &caller, WRONG, "yepyeni bir parola").await,
        ));
    }
    assert_eq!(answers[9], Some("wrong_password"));
    assert_eq!(answers[10], Some("rate_limited"));
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_confirmed_and_no_code_counts_twice() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let own = sign_in("ada@school.test", PASSWORD);
    assert_eq!(
        code_of(second_factor::confirm(&school.auth, &caller, "000000").await),
        Some("totp_not_begun")
    );
    let (first, _) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    let (secret, link) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    assert!(first != secret && link.contains(&secret));
    // Not confirmed: nothing is asked for.
    school.sign_in("ada@school.test").await;
    let app = School::app(&secret);
    let old = school.code(&School::app(&first));
    assert_eq!(
        code_of(second_factor::confirm(&school.auth, &caller, &old).await),
        Some("invalid_totp_code")
    );
    let code = school.code(&app);
    let recovery = second_factor::confirm(&school.auth, &caller, &code)
        .await
        .unwrap();
    assert_eq!(recovery.len(), 10);
    assert_eq!(
        code_of(second_factor::enroll(&school.auth, &caller).await),
        Some("totp_enabled")
    );

    assert_eq!(code_of(login(&school.auth, own).await), Some("totp_required"));
    // A wrong password is not told from a right one without its code.
    assert_eq!(
        code_of(login(&school.auth, sign_in("ada@school.test", WRONG)).await),
        Some("invalid_credentials")
    );
    let with = |code| SignIn {
        totp_code: Some(code),
        ..own
    };
    assert_eq!(
        code_of(login(&school.auth, with(&code)).await),
        Some("wrong_totp_code"),
        "used to confirm"
    );
    let guess = SignIn {
        totp_code: Some("000000"),
        ..sign_in("ada@school.test", WRONG)
    };
    assert_eq!(
        code_of(login(&school.auth, guess).await),
        Some("invalid_credentials"),
        "without the password nothing is said of the factor"
    );
    school.clock.advance(Duration::from_secs(30));
    let next = school.code(&app);
    let racing: Vec<_> = join_all((0..5).map(|_| login(&school.auth, with(&next)))).await;
    assert_eq!(
        racing.iter().filter(|tokens| tokens.is_ok()).count(),
        1,
        "one code, one sign-in"
    );
    school.clock.advance(Duration::from_mins(1));
    let racing: Vec<_> = join_all((0..5).map(|_| login(&school.auth, with(&recovery[3])))).await;
    assert_eq!(
        racing.iter().filter(|tokens| tokens.is_ok()).count(),
        1,
        "one recovery code, one sign-in"
    );
    let tokens = racing.into_iter().find_map(Result::ok).unwrap();
    assert!(tokens.user.totp_enabled);
    // The database holds neither the secret nor the codes.
    let stored: Vec<u8> = sqlx::query_scalar("SELECT secret FROM auth.totp")
        .fetch_one(school.auth.db.primary())
        .await
        .unwrap();
    let plain = Secret::try_from_base32(&secret).unwrap();
    assert!(!stored.windows(20).any(|part| part == plain.as_bytes()));

    school.clock.advance(Duration::from_mins(16));
    let refreshed = refresh(&school.auth, tokens.refresh_token.clone()).await.unwrap();
    let stale = school.caller(&refreshed).await;
    assert_eq!(
        code_of(second_factor::remove(&school.auth, &stale).await),
        Some("sign_in_again")
    );
    let fresh = login(&school.auth, with(&school.code(&app))).await.unwrap();
    let fresh = school.caller(&fresh).await;
    let revoked = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM auth.outbox WHERE type = 'token.revoked' AND subject = $1")
            .bind(ada.id.to_string())
            .fetch_one(school.auth.db.primary())
            .await
            .unwrap()
    };
    let before = revoked().await;
    second_factor::remove(&school.auth, &fresh).await.unwrap();
    assert_eq!(
        revoked().await,
        before + 1,
        "what the factor allowed ends with it"
    );
    school.sign_in("ada@school.test").await;
    let actions = school.actions(&ada.id.to_string()).await;
    for action in [
        "totp.enabled",
        "recovery_code.used",
        "totp.disabled",
        "sign_in.failed",
    ] {
        assert!(
            actions.iter().any(|found| found == action),
            "{action} in {actions:?}"
        );
    }
}

#[tokio::test]
async fn who_knows_the_password_cannot_guess_the_second_factor() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let (secret, _) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    let app = School::app(&secret);
    second_factor::confirm(&school.auth, &caller, &school.code(&app))
        .await
        .unwrap();
    school.clock.advance(Duration::from_secs(30));
    let right = school.code(&app);
    let with = |code| SignIn {
        totp_code: Some(code),
        ..sign_in("ada@school.test", PASSWORD)
    };
    for _ in 0..10 {
        let wrong = login(&school.auth, with("000000")).await;
        assert_eq!(code_of(wrong), Some("wrong_totp_code"));
    }
    for code in ["000000", right.as_str()] {
        let refused = login(&school.auth, with(code)).await;
        assert_eq!(code_of(refused), Some("rate_limited"), "{code}");
    }
    let told = "SELECT count(*) FROM auth.audit_log
         WHERE action = 'sign_in.failed' AND details ->> 'code' = 'wrong_totp_code'";
    assert_eq!(school.count(told).await, 10);
    school.clock.advance(Duration::from_secs(12));
    login(&school.auth, with(right.as_str())).await.unwrap();
}

#[tokio::test]
async fn new_recovery_codes_void_those_of_before() {
    let school = School::open().await;
    let ada = school.user("ada@school.test", "student").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let renew = async |code: &str| second_factor::renew_recovery_codes(&school.auth, &caller, code).await;
    assert_eq!(code_of(renew("000000").await), Some("totp_not_enabled"));
    let (secret, _) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    let app = School::app(&secret);
    let code = school.code(&app);
    assert_eq!(
        code_of(renew(&code).await),
        Some("totp_not_enabled"),
        "not confirmed"
    );
    let old = second_factor::confirm(&school.auth, &caller, &code)
        .await
        .unwrap();
    assert_eq!(code_of(renew(&code).await), Some("invalid_totp_code"), "used");
    school.clock.advance(Duration::from_secs(30));
    let new = renew(&school.code(&app)).await.unwrap();
    assert_eq!(new.len(), 10);
    let with = |code| SignIn {
        totp_code: Some(code),
        ..sign_in("ada@school.test", PASSWORD)
    };
    for code in &old[..2] {
        assert_eq!(
            code_of(login(&school.auth, with(code)).await),
            Some("wrong_totp_code")
        );
    }
    login(&school.auth, with(&new[0])).await.unwrap();
    let changes = school.events::<UserSecurityChanged>().await;
    let renewed = changes
        .iter()
        .filter(|event| event.change == "recovery_codes_renewed");
    assert_eq!(renewed.count(), 1);
    let actions = school.actions(&ada.id.to_string()).await;
    assert!(actions.iter().any(|action| action == "recovery_codes.renewed"));
    // Who has the session alone tries in vain.
    for _ in 0..10 {
        assert_eq!(code_of(renew("000000").await), Some("invalid_totp_code"));
    }
    assert_eq!(code_of(renew("000000").await), Some("rate_limited"));
}

#[tokio::test]
async fn an_owner_is_told_by_mail_of_what_changes_how_they_sign_in() {
    let school = School::open().await;
    let ada = school.user("ada@school.test", "student").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let new = "yepyeni bir parola";
    assert!(change_password(&school.auth, &caller, WRONG, new).await.is_err());
    change_password(&school.auth, &caller, PASSWORD, new)
        .await
        .unwrap();
    let (secret, _) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    let code = school.code(&School::app(&secret));
    let recovery = second_factor::confirm(&school.auth, &caller, &code)
        .await
        .unwrap();
    let shown = SignIn {
        totp_code: Some(&recovery[0]),
        ..sign_in("ada@school.test", new)
    };
    let fresh = school.caller(&login(&school.auth, shown).await.unwrap()).await;
    second_factor::remove(&school.auth, &fresh).await.unwrap();
    // What was off already is no news.
    second_factor::remove(&school.auth, &fresh).await.unwrap();
    request_password_reset(&school.auth, "ada@school.test")
        .await
        .unwrap();
    let link = school.reset(&ada).await;
    confirm_password_reset(&school.auth, link, "bir parola daha")
        .await
        .unwrap();
    let told = school.events::<UserSecurityChanged>().await;
    let mut changes: Vec<&str> = told.iter().map(|event| event.change.as_str()).collect();
    changes.sort_unstable();
    let expected = [
        "password",
        "password",
        "recovery_code_used",
        "totp_disabled",
        "totp_enabled",
    ];
    assert_eq!(changes, expected);
    for event in &told {
        assert_eq!(
            (event.user_id.as_str(), event.email.as_str()),
            (&*ada.id.to_string(), "ada@school.test")
        );
        let text = serde_json::to_string(event).unwrap();
        assert!(!text.contains(&recovery[0]) && !text.contains(&secret) && !text.contains("parola"));
    }
}

/// Somebody registers another's address, and turns a factor on before its owner comes.
#[tokio::test]
async fn an_owner_gets_past_the_factor_of_who_took_the_address_first() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let thief = school.caller(&school.sign_in("ada@school.test").await).await;
    let (secret, _) = second_factor::enroll(&school.auth, &thief).await.unwrap();
    let code = school.code(&School::app(&secret));
    second_factor::confirm(&school.auth, &thief, &code).await.unwrap();
    request_password_reset(&school.auth, "ada@school.test")
        .await
        .unwrap();
    let link = school.reset(&ada).await;
    confirm_password_reset(&school.auth, link, "yepyeni bir parola")
        .await
        .unwrap();
    login(&school.auth, sign_in("ada@school.test", "yepyeni bir parola"))
        .await
        .unwrap();
    // A factor of a verified owner stays.
    let own = school
        .caller(
            &login(&school.auth, sign_in("ada@school.test", "yepyeni bir parola"))
                .await
                .unwrap(),
        )
        .await;
    let (secret, _) = second_factor::enroll(&school.auth, &own).await.unwrap();
    let code = school.code(&School::app(&secret));
    second_factor::confirm(&school.auth, &own, &code).await.unwrap();
    request_password_reset(&school.auth, "ada@school.test")
        .await
        .unwrap();
    let link = school.reset(&ada).await;
    confirm_password_reset(&school.auth, link, PASSWORD)
        .await
        .unwrap();
    assert_eq!(
        code_of(login(&school.auth, sign_in("ada@school.test", PASSWORD)).await),
        Some("totp_required")
    );
}

#[tokio::test]
async fn a_role_that_demands_a_second_factor_gives_nothing_without() {
    let school = School::open().await;
    school.user("ada@school.test", "teacher").await;
    let demanding = Role {
        name: "teacher".into(),
        permissions: vec![permissions::COURSES_WRITE.into()],
        require_totp: true,
        department_scoped: false,
    };
    put_role(&school.auth, &Reach::SYSTEM, demanding).await.unwrap();
    school.clock.advance(Duration::from_secs(1));
    let tokens = school.sign_in("ada@school.test").await;
    let caller = school.caller(&tokens).await;
    assert!(!caller.has(permissions::COURSES_WRITE));
    school.clock.advance(Duration::from_secs(1));
    let (secret, _) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    let code = school.code(&School::app(&secret));
    second_factor::confirm(&school.auth, &caller, &code)
        .await
        .unwrap();
    school.clock.advance(Duration::from_secs(1));
    assert!(School::is_revoked(&school.verify(&tokens.access_token).await));
    let renewed = refresh(&school.auth, tokens.refresh_token).await.unwrap();
    assert!(school.caller(&renewed).await.has(permissions::COURSES_WRITE));
}

#[tokio::test]
async fn acting_for_another_is_short_seen_and_stops_before_the_account_itself() {
    let school = School::open().await;
    let (admin, ada) = (
        school.user("admin@school.test", "admin").await,
        school.user("ada@school.test", "student").await,
    );
    let root = school.caller(&school.sign_in("admin@school.test").await).await;
    let (token, _) = impersonate(&school.auth, &root, ada.id, "ticket 4711")
        .await
        .unwrap();
    let acting = school.verify(&token).await.unwrap();
    assert_eq!(acting.user().unwrap().id, ada.id);
    assert_eq!(acting.user().unwrap().impersonator, Some(admin.id));
    let denied = Some("permission_denied");
    assert_eq!(
        code_of(change_password(&school.auth, &acting, PASSWORD, "yepyeni bir parola").await),
        denied
    );
    assert_eq!(
        code_of(second_factor::enroll(&school.auth, &acting).await),
        denied
    );
    assert_eq!(
        code_of(impersonate(&school.auth, &acting, admin.id, "again").await),
        denied
    );
    let other = school.user("root@school.test", "admin").await;
    for target in [admin.id, other.id] {
        let refused = impersonate(&school.auth, &root, target, "why not").await;
        assert_eq!(code_of(refused), Some("not_to_be_impersonated"));
    }
    let unknown = impersonate(&school.auth, &root, UserId::new(school.clock.now()), "who").await;
    assert_eq!(code_of(unknown), Some("not_found"));
    let page = audit::list(
        &school.auth,
        Filter {
            action: Some("impersonation.begun".into()),
            ..Filter::default()
        },
        FIRST_PAGE,
    );
    let entries = page.await.unwrap().items;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].actor_id, Some(admin.id));
    assert_eq!(entries[0].details["reason"], "ticket 4711");
}

#[tokio::test]
async fn a_program_gets_what_its_maker_has_and_no_more_until_it_is_ended() {
    let school = School::open().await;
    school.user("admin@school.test", "admin").await;
    let root = school.caller(&school.sign_in("admin@school.test").await).await;
    let wanted = |permission: &str| vec![permission.to_owned()];
    let create =
        |permissions| service_accounts::create(&school.auth, &root, "registrar".into(), permissions, 30);
    assert_eq!(
        code_of(create(wanted("courses:eat")).await),
        Some("unknown_permission")
    );
    assert_eq!(
        code_of(create(wanted(permissions::ENROLLMENTS_ENROLL)).await),
        Some("permission_denied")
    );
    let (account, secret) = create(wanted(permissions::USERS_READ)).await.unwrap();
    school.clock.advance(Duration::from_secs(1));
    let wrong = service_accounts::issue_token(&school.auth, account.id, "sa_wrong").await;
    assert_eq!(code_of(wrong), Some("invalid_credentials"));
    school.clock.advance(Duration::from_secs(1));
    let (token, _) = service_accounts::issue_token(&school.auth, account.id, &secret)
        .await
        .unwrap();
    let caller = school.verify(&token).await.unwrap();
    assert!(caller.has(permissions::USERS_READ) && !caller.has(permissions::USERS_WRITE));
    school.clock.advance(Duration::from_secs(1));
    service_accounts::end(&school.auth, &root, account.id)
        .await
        .unwrap();
    assert!(School::is_revoked(&school.verify(&token).await));
    school.clock.advance(Duration::from_secs(1));
    let after = service_accounts::issue_token(&school.auth, account.id, &secret).await;
    assert_eq!(code_of(after), Some("invalid_credentials"));
    assert_eq!(
        school.actions(&account.id.to_string()).await,
        [
            "service_account.created",
            "service_account.refused",
            "service_account.token_issued",
            "service_account.ended",
            "service_account.refused"
        ]
    );
}

#[tokio::test]
async fn the_audit_log_is_only_added_to_and_read_in_pages() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    for _ in 0..5 {
        let _ = login(&school.auth, sign_in("ada@school.test", WRONG)).await;
        school.clock.advance(Duration::from_secs(1));
    }
    for sql in [
        "DELETE FROM auth.audit_log",
        "UPDATE auth.audit_log SET action = 'x'",
        "TRUNCATE auth.audit_log",
    ] {
        let refused = sqlx::query(sql).execute(school.auth.db.primary()).await;
        assert!(refused.unwrap_err().to_string().contains("only added to"));
    }
    let filter = Filter {
        target: Some(ada.id.to_string()),
        ..Filter::default()
    };
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let paging = Paging {
            size: 2,
            token: token.as_deref(),
        };
        let page = audit::list(&school.auth, filter.clone(), paging).await.unwrap();
        seen.extend(page.items.iter().map(|entry| entry.id));
        token = Some(page.next_page_token).filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a > b));
    let tampered = Paging {
        size: 2,
        token: Some("AAAA"),
    };
    let foreign = audit::list(&school.auth, Filter::default(), tampered).await;
    assert_eq!(foreign.unwrap_err().code(), &codes::INVALID_PAGE_TOKEN);

    // From the third failure on, before the fifth.
    let last = school.clock.now();
    let within = Filter {
        from: Some(last - time::Duration::seconds(3)),
        to: Some(last - time::Duration::seconds(1)),
        ..filter
    };
    let page = audit::list(&school.auth, within, FIRST_PAGE).await.unwrap();
    let at: Vec<_> = page.items.iter().map(|entry| entry.at).collect();
    assert_eq!(at, [2, 3].map(|ago| last - time::Duration::seconds(ago)));
}

/// The trigger stops a mistake; what stops who has the service's password is that the log is not the service's.
#[tokio::test]
async fn the_service_itself_can_neither_change_the_audit_log_nor_take_its_guard_away() {
    let school = School::open().await;
    for _ in 0..2 {
        keep_log(&school.auth.db).await.unwrap();
    }
    school.user("ada@school.test", "student").await;
    let _ = login(&school.auth, sign_in("ada@school.test", WRONG)).await;
    let rows = "SELECT count(*) FROM auth.audit_log";
    let before = school.count(rows).await;
    assert!(before > 0, "rows are added");
    for sql in [
        "UPDATE auth.audit_log SET action = 'x'",
        "DELETE FROM auth.audit_log",
        "DELETE FROM auth.audit_log_rest",
        "TRUNCATE auth.audit_log",
        "TRUNCATE auth.audit_log_rest",
        "DROP TRIGGER audit_log_append_only ON auth.audit_log",
        "DROP FUNCTION auth.audit_log_is_append_only CASCADE",
        "CREATE OR REPLACE FUNCTION auth.audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "ALTER TABLE auth.audit_log DISABLE TRIGGER ALL",
        "ALTER TABLE auth.audit_log DETACH PARTITION auth.audit_log_rest",
        "ALTER TABLE auth.audit_log OWNER TO CURRENT_USER",
        "DROP TABLE auth.audit_log",
        "DROP TABLE auth.audit_log_rest",
        "DROP SCHEMA auth CASCADE",
        "DROP FUNCTION auth.keep_audit_log",
        "SET ROLE sctest_audit",
    ] {
        let refused = sqlx::raw_sql(sql).execute(school.auth.db.primary()).await;
        let refused = refused.unwrap_err();
        let code = refused
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {refused}");
    }
    assert_eq!(school.count(rows).await, before);
}

/// Four ways to fail, interleaved: medians, and how well the time of an answer tells them from a wrong password (0.5: not at all).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn how_long_a_refusal_takes() {
    let school = School::open_at(clock::Clock::system()).await;
    school.register("ada@school.test").await;
    let gone = school.register("gone@school.test").await;
    let inactive = Changes {
        is_active: Some(false),
        ..Changes::default()
    };
    update_user(&school.auth, &Reach::SYSTEM, gone.id, inactive)
        .await
        .unwrap();
    let kinds = [
        ("wrong password", "ada@school.test", WRONG),
        ("no account", "nobody@school.test", WRONG),
        ("disabled", "gone@school.test", PASSWORD),
        ("empty password", "ada@school.test", ""),
    ];
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..300 {
        for ((_, address, password), times) in kinds.iter().zip(&mut times) {
            sqlx::query("DELETE FROM auth.sign_in_tries")
                .execute(school.auth.db.primary())
                .await
                .unwrap();
            let began = std::time::Instant::now();
            assert_eq!(
                code_of(login(&school.auth, sign_in(address, password)).await),
                Some("invalid_credentials")
            );
            times.push(began.elapsed());
        }
    }
    for (number, (name, ..)) in kinds.iter().enumerate() {
        let pairs = times[number]
            .iter()
            .flat_map(|a| times[0].iter().map(move |b| (a, b)));
        let longer = pairs.filter(|(a, b)| a > b).count() as f64;
        let curve = longer / (times[number].len() * times[0].len()) as f64;
        let mut sorted = times[number].clone();
        sorted.sort();
        eprintln!("{name:16} median {:?} area {curve:.3}", sorted[sorted.len() / 2]);
    }
}
