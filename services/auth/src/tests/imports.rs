//! Files of people, and erasing one.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::auth::v1::ImportUsersRequest;
use contracts::events::v1::{UserErased, UserPasswordResetRequested, UserRegistered, UserUpdated};
use problem::Language;
use request_context::RequestContext;
use serde_json::{Value, json};
use test_support::count_queries;

use super::hardening::code_of;
use super::school::{FIRST_PAGE, PASSWORD, School, sign_in};
use crate::storage::audit::{Entry, Filter};
use crate::storage::erasures;
use crate::usecases::audit;
use crate::usecases::delete_me::delete_me;
use crate::usecases::impersonate::impersonate;
use crate::usecases::import_users::import_users;
use crate::usecases::login::login;
use crate::usecases::operations::{find_result, operation, result, work_once};

impl School {
    /// Imports a file to its end; the report.
    async fn import(&self, request: ImportUsersRequest) -> Value {
        let root = self.caller(&self.sign_in("admin@school.test").await).await;
        let begun = import_users(&self.auth, &root, request).await.unwrap();
        assert!(work_once(&self.auth).await.unwrap());
        let over = operation(&self.auth, &root, begun.id).await.unwrap();
        assert_eq!((over.state.as_str(), over.fault.as_str()), ("succeeded", ""));
        assert_eq!(over.done, over.total);
        let report = result(&self.auth, &root, begun.id, 0).await.unwrap();
        serde_json::from_slice(&report.content).unwrap()
    }

    /// What the audit log has of an action, newest first.
    async fn audited(&self, action: &str) -> Vec<Entry> {
        let filter = Filter {
            action: Some(action.to_owned()),
            ..Filter::default()
        };
        audit::list(&self.auth, filter, FIRST_PAGE).await.unwrap().items
    }
}

fn file(content: impl Into<String>) -> ImportUsersRequest {
    ImportUsersRequest {
        content: content.into(),
        ..ImportUsersRequest::default()
    }
}

fn counts(report: &Value) -> [u64; 5] {
    ["created", "updated", "unchanged", "deactivated", "refused"].map(|name| report[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lines_come_in_once_in_batches_and_a_dry_run_changes_nothing() {
    let school = School::open().await;
    school.user("admin@school.test", "admin").await;
    let mut text = "email,full_name,role,department,student_id\n".to_owned();
    for number in 0..10_000 {
        writeln!(
            text,
            "student{number}@school.test,Öğrenci {number},student,Matematik,{number}"
        )
        .unwrap();
    }
    let before = school.count("SELECT count(*) FROM auth.users").await;
    let dry = ImportUsersRequest {
        dry_run: true,
        ..file(&text)
    };
    let report = school.import(dry).await;
    assert_eq!(counts(&report), [10_000, 0, 0, 0, 0]);
    assert_eq!(school.count("SELECT count(*) FROM auth.users").await, before);
    let began = std::time::Instant::now();
    let (report, queries) = count_queries(school.import(file(&text))).await;
    eprintln!("10,000 people imported in {:?}", began.elapsed());
    assert_eq!(counts(&report), [10_000, 0, 0, 0, 0]);
    // 20 batches.
    assert!(queries.count() < 20 * 16 + 40, "{} statements", queries.count());
    assert_eq!(
        school.count("SELECT count(*) FROM auth.users").await,
        before + 10_000
    );
    assert_eq!(school.events::<UserPasswordResetRequested>().await.len(), 10_000);
    let report = school.import(file(&text)).await;
    assert_eq!(counts(&report), [0, 0, 10_000, 0, 0]);
    assert_eq!(school.events::<UserRegistered>().await.len(), 10_001);
    assert_eq!(school.events::<UserPasswordResetRequested>().await.len(), 10_000);
}

#[tokio::test]
async fn lines_are_taken_changed_or_refused_one_by_one() {
    let school = School::open().await;
    school.user("admin@school.test", "admin").await;
    school.user("ada@school.test", "teacher").await;
    let text = "e-posta;ad soyad;rol;bölüm;password_hash\n\
                ada@school.test;Ada Lovelace;student;Fizik;\n\
                şule@school.test;Şule Işık;student;;pbkdf2:sha256:1000$salt$5a6dc8ea2b0ad6e4b4d3c3c1d6f0a2ce5a6dc8ea2b0ad6e4b4d3c3c1d6f0a2ce\n\
                root@school.test;Kök;admin;;\n\
                kimse;Kimse;student;;\n\
                can@school.test;Can;student;;$unknown$1$2\n\
                ŞULE@school.test;Yine Şule;student;;\n";
    let (encoded, _, _) = encoding_rs::WINDOWS_1254.encode(text);
    let request = ImportUsersRequest {
        content_base64: STANDARD.encode(&encoded),
        ..ImportUsersRequest::default()
    };
    let report = school.import(request).await;
    assert_eq!(counts(&report), [1, 1, 0, 0, 4], "{report}");
    let lines = report["lines"].as_array().unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (2, "updated"),
            (3, "created"),
            (4, "refused"),
            (5, "refused"),
            (6, "refused"),
            (7, "refused")
        ]
    );
    // Also where the file itself could not be read so.
    assert_eq!(lines[5]["code"], "email.email_repeated");
    assert_eq!(lines[5]["email"], "ŞULE@school.test");
    let users = school.events::<UserUpdated>().await;
    let ada = users.last().unwrap();
    assert_eq!(
        (ada.full_name.as_str(), ada.role.as_str()),
        ("Ada Lovelace", "teacher"),
        "a file changes no role"
    );
    let gone = "sourcedId,status,role,username,givenName,familyName,email\n\
                1,tobedeleted,student,sule,Şule,Işık,şule@school.test\n\
                2,tobedeleted,administrator,admin,A,B,admin@school.test\n";
    let report = school.import(file(gone)).await;
    assert_eq!(counts(&report)[3], 1, "{report}");
    assert_eq!(
        school
            .count("SELECT count(*) FROM auth.users WHERE NOT is_active")
            .await,
        1
    );
}

#[tokio::test]
async fn a_report_speaks_the_language_of_whoever_began_it() {
    let school = School::open().await;
    school.user("admin@school.test", "admin").await;
    let root = school.caller(&school.sign_in("admin@school.test").await).await;
    let turkish = RequestContext {
        language: Language::Tr,
        ..RequestContext::default()
    };
    let text = "email,full_name,role\nkimse,Kimse,student\nroot@school.test,Kök,admin\n";
    let begun = request_context::scope(turkish, import_users(&school.auth, &root, file(text)));
    let begun = begun.await.unwrap();
    assert!(work_once(&school.auth).await.unwrap());
    let report = result(&school.auth, &root, begun.id, 0).await.unwrap();
    let report: Value = serde_json::from_slice(&report.content).unwrap();
    let told = |line: usize| report["lines"][line]["detail"].as_str().unwrap();
    assert_eq!(
        (told(0), told(1)),
        (
            "bu bir e-posta adresi değil",
            "okulun admin dışındaki rollerinden biri olmalı"
        )
    );
}

#[tokio::test]
async fn each_account_that_a_file_makes_or_changes_has_a_line_in_the_audit_log() {
    let school = School::open().await;
    let root = school.user("admin@school.test", "admin").await;
    let ada = school.user("ada@school.test", "student").await;
    let can = school.user("can@school.test", "student").await;
    school.user("same@school.test", "student").await;
    let text = "email,full_name,role,department\n\
                ada@school.test,Ada Byron,student,Fizik\n\
                can@school.test,Can Demir,student,\n\
                same@school.test,Ada Yılmaz,student,\n\
                new@school.test,New,teacher,\n\
                kimse,Kimse,student,\n";
    let dry = ImportUsersRequest {
        dry_run: true,
        ..file(text)
    };
    assert_eq!(counts(&school.import(dry).await), [1, 2, 1, 0, 1]);
    assert!(school.audited("user.created").await.is_empty());
    school.clock.advance(Duration::from_secs(1));
    school.import(file(text)).await;
    let operation = school.audited("users.imported").await.remove(0).target_id;
    let registered = school.events::<UserRegistered>().await;
    let new = registered
        .into_iter()
        .find(|user| user.email == "new@school.test");
    let moved = json!({
        "from": "", "to": "Fizik", "fields": ["full_name", "department"], "operation_id": operation
    });
    for (action, target, details) in [
        ("user.department_changed", ada.id.to_string(), moved),
        (
            "user.updated",
            can.id.to_string(),
            json!({"fields": ["full_name"], "operation_id": operation}),
        ),
        (
            "user.created",
            new.unwrap().user_id,
            json!({"role": "teacher", "operation_id": operation}),
        ),
    ] {
        let lines = school.audited(action).await;
        assert_eq!(lines.len(), 1, "{action}");
        assert_eq!((lines[0].actor_id, &lines[0].target_id), (Some(root.id), &target));
        assert_eq!(lines[0].details, details);
    }
    school.clock.advance(Duration::from_secs(1));
    let gone = "sourcedId,status,role,username,givenName,familyName,email\n\
                1,tobedeleted,student,can,Can,Demir,can@school.test\n";
    school.import(file(gone)).await;
    let operation = school.audited("users.imported").await.remove(0).target_id;
    let lines = school.audited("user.deactivated").await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].target_id, can.id.to_string());
    assert_eq!(lines[0].details, json!({"operation_id": operation}));
}

#[tokio::test]
async fn who_imports_under_anothers_name_stands_beside_it_in_each_line() {
    let school = School::open().await;
    let root = school.user("admin@school.test", "admin").await;
    let registrar = school
        .holder("registrar", &["users:read", "users:write"], false)
        .await;
    let registrar = registrar.user().unwrap().id;
    let admin = school.caller(&school.sign_in("admin@school.test").await).await;
    let (token, _) = impersonate(&school.auth, &admin, registrar, "ticket 4711")
        .await
        .unwrap();
    let acting = school.verify(&token).await.unwrap();
    import_users(
        &school.auth,
        &acting,
        file("email,full_name\nnew@school.test,New\n"),
    )
    .await
    .unwrap();
    assert!(work_once(&school.auth).await.unwrap());
    let lines = school.audited("user.created").await;
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].actor_id, lines[0].impersonator_id),
        (Some(registrar), Some(root.id))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_fits_into_no_message_is_fetched_in_parts() {
    let school = School::open().await;
    school.user("admin@school.test", "admin").await;
    let root = school.caller(&school.sign_in("admin@school.test").await).await;
    let begun = import_users(&school.auth, &root, file("email,full_name\na@school.test,A\n"))
        .await
        .unwrap();
    let whole: Vec<u8> = (0..5_u32 << 20).flat_map(u32::to_le_bytes).collect();
    let (now, db) = (school.clock.now(), school.auth.db.primary());
    crate::storage::operations::succeed(db, begun.id, &whole, now)
        .await
        .unwrap();
    let fetch = async |part| find_result(&school.auth, &root, begun.id, part).await;
    let mut fetched = Vec::new();
    for part in 0..5 {
        let file = fetch(part).await.unwrap();
        assert_eq!(file.content.len(), 4 << 20);
        assert_eq!(file.next_part, if part < 4 { part + 1 } else { 0 });
        fetched.extend(file.content);
    }
    assert!(fetched == whole);
    for part in [5, 512, 1_000_000] {
        assert_eq!(code_of(fetch(part).await), Some("not_found"), "{part}");
    }
}

#[tokio::test]
async fn an_import_that_died_is_done_by_another() {
    let school = School::open().await;
    school.user("admin@school.test", "admin").await;
    let root = school.caller(&school.sign_in("admin@school.test").await).await;
    let begun = import_users(&school.auth, &root, file("email,full_name\na@school.test,A\n"))
        .await
        .unwrap();
    let (now, db) = (school.clock.now(), school.auth.db.primary());
    let claimed = crate::storage::operations::claim(db, now, now + crate::usecases::operations::LEASE)
        .await
        .unwrap();
    assert!(claimed.is_some());
    assert!(!work_once(&school.auth).await.unwrap(), "somebody works on it");
    school.clock.advance(Duration::from_secs(61));
    assert!(work_once(&school.auth).await.unwrap());
    assert_eq!(
        operation(&school.auth, &root, begun.id).await.unwrap().state,
        "succeeded"
    );
    // Nobody else learns of it.
    school.register("ada@school.test").await;
    let ada = school.caller(&school.sign_in("ada@school.test").await).await;
    assert!(operation(&school.auth, &ada, begun.id).await.is_err());
}

#[tokio::test]
async fn an_erased_account_is_nobodys_and_done_when_all_have_answered() {
    let school = School::open().await;
    school.user("admin@school.test", "admin").await;
    let ada = school.register("ada@school.test").await;
    let tokens = school.sign_in("ada@school.test").await;
    let caller = school.caller(&tokens).await;
    school.clock.advance(Duration::from_mins(16));
    assert_eq!(
        delete_me(&school.auth, &caller).await.unwrap_err().code().name,
        "sign_in_again"
    );
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let begun = delete_me(&school.auth, &caller).await.unwrap();
    assert!(School::is_revoked(&school.verify(&tokens.access_token).await));
    assert!(
        login(&school.auth, sign_in("ada@school.test", PASSWORD))
            .await
            .is_err()
    );
    let erased = school.events::<UserErased>().await;
    assert_eq!(erased.len(), 1);
    assert_eq!(erased[0].version, school.stored(ada.id).await.version);
    let root = school.caller(&school.sign_in("admin@school.test").await).await;
    for (services, state) in [
        (["catalog", "exam"], "running"),
        (["exam", "catalog"], "succeeded"),
    ] {
        // Asked for two in this test; each may answer twice.
        if state == "running" {
            sqlx::query("UPDATE auth.erasures SET waiting_for = '{catalog,exam,enrollment}'")
                .execute(school.auth.db.primary())
                .await
                .unwrap();
        }
        for service in services {
            let now = school.clock.now();
            let answered = school.auth.db.write(move |mut tx| async move {
                erasures::answered(&mut tx, ada.id, service, now).await?;
                if state == "succeeded" {
                    erasures::answered(&mut tx, ada.id, "enrollment", now).await?;
                }
                tx.commit(()).await
            });
            let answered: Result<(), postgres::WriteError> = answered.await;
            answered.unwrap();
        }
        assert_eq!(
            operation(&school.auth, &root, begun.id).await.unwrap().state,
            state
        );
    }
    // The last admin stays.
    assert_eq!(
        delete_me(&school.auth, &root).await.unwrap_err().code().name,
        "last_admin"
    );
    // The address is free again.
    school.register("ada@school.test").await;
    school.sign_in("ada@school.test").await;
}
