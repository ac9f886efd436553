//! A learner's first evening: register, verify by the link of the mail, browse, enrol, be told about it.

use journeys::api::text;
use journeys::people::{PASSWORD, admin, course_with, register, sign_in, student, teacher, verify};
use journeys::{Process, Stack, repetitions};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_registers_browses_enrols_and_is_told() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let history = course_with(
        &deniz,
        json!({"title": "İstanbul Tarihi", "description": "Bir şehir"}),
    )
    .await;
    let course = text(&history, "id").to_owned();

    // Signing in does not wait for the address; enrolling does.
    let email = register(&stack, "ada").await;
    let ada = sign_in(&stack, &email, PASSWORD).await;
    let enroll = format!("/api/v1/courses/{course}/enroll");
    let refused = ada.api.post(&enroll, json!({})).await;
    assert_eq!((refused.status, refused.code()), (403, "email_not_verified"));
    verify(&stack, &email).await;

    // Every spelling finds it, and so does a typing error.
    for q in ["İstanbul", "istanbul", "ISTANBUL", "ıstanbul", "istambul"] {
        let found = stack
            .api()
            .get(&format!("/api/v1/courses?q={q}"))
            .await
            .expect(200);
        assert_eq!(found["courses"][0]["id"], course.as_str(), "{q}: {found}");
    }
    let shown = stack.api().get(&format!("/api/v1/courses/{course}")).await;
    let etag = shown.header("etag").unwrap().to_owned();
    let again = stack
        .api()
        .send(
            reqwest::Method::GET,
            &format!("/api/v1/courses/{course}"),
            None,
            &[("if-none-match", &etag)],
        )
        .await;
    assert_eq!(again.status, 304);

    let enrolled = ada.api.post(&enroll, json!({})).await;
    assert_eq!(
        enrolled
            .header("location")
            .map(|l| l.starts_with("/api/v1/enrollments/")),
        Some(true)
    );
    let enrollment = enrolled.expect(201);
    assert_eq!(
        (enrollment["status"].as_str(), enrollment["course_title"].as_str()),
        (Some("active"), Some("İstanbul Tarihi"))
    );
    assert_eq!(
        ada.api.post(&enroll, json!({})).await.expect(200)["id"],
        enrollment["id"]
    );

    let inbox = stack
        .eventually(|| async {
            let inbox = ada
                .api
                .get("/api/v1/users/me/notifications?unread=true")
                .await
                .expect(200);
            let all = inbox["notifications"].as_array().unwrap().clone();
            all.iter()
                .any(|n| n["kind"] == "enrollment.created")
                .then_some(inbox)
        })
        .await;
    assert_eq!(inbox["unread_count"], 2, "{inbox}");
    let mail = stack
        .eventually(|| async { stack.mailbox().find(&email, "enrollment_created").pop() })
        .await;
    assert!(mail.text.contains("Tarihi"), "{}", mail.text);
    ada.api
        .post("/api/v1/users/me/notifications/read-all", json!({}))
        .await
        .expect(200);
    assert_eq!(
        ada.api.get("/api/v1/users/me/notifications").await.expect(200)["unread_count"],
        0
    );

    let roster = deniz
        .api
        .get(&format!("/api/v1/courses/{course}/enrollments"))
        .await
        .expect(200);
    assert_eq!(roster["enrollments"][0]["full_name"], "ada");
    ada.api.delete(&enroll).await.expect(204);
    assert_eq!(
        ada.api
            .get("/api/v1/users/me/enrollments?status=dropped")
            .await
            .expect(200)["enrollments"][0]["id"],
        enrollment["id"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_exact_and_prerequisites_hold() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let small = course_with(&deniz, json!({"title": "Small", "seat_limit": 3})).await;
    let next = course_with(
        &deniz,
        json!({"title": "Next", "prerequisite_ids": [text(&small, "id")]}),
    )
    .await;
    let mut students = Vec::new();
    for number in 0..12 {
        students.push(student(&stack, &format!("student{number}")).await);
    }
    let path = format!("/api/v1/courses/{}/enroll", text(&small, "id"));
    // Everybody at once, each ten times.
    let attempts = students
        .iter()
        .flat_map(|s| std::iter::repeat_n(s, 10))
        .map(|s| s.api.post(&path, json!({})));
    let answers = futures::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    assert!(
        answers
            .iter()
            .all(|a| [200, 201].contains(&a.status) || a.code() == "course_full")
    );
    let mut database = stack.superuser().await;
    let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM enrollment.enrollments")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(taken, 3);

    let path = format!("/api/v1/courses/{}/enroll", text(&next, "id"));
    let ahead = students[0].api.post(&path, json!({})).await;
    assert_eq!((ahead.status, ahead.code()), (409, "prerequisite_missing"));
    let needed = json!([{"id": small["id"], "title": "Small"}]);
    assert_eq!(ahead.body["missing_prerequisites"], needed);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_rotate_and_end_everywhere() {
    let stack = Stack::start().await;
    let ada = student(&stack, "ada").await;
    let refresh = |token: String| {
        let api = stack.api();
        async move {
            api.post("/api/v1/auth/refresh", json!({"refresh_token": token}))
                .await
        }
    };
    // Parallel tabs and a lost reply: nobody is logged out and nothing forks.
    let tabs = futures::future::join_all((0..30).map(|_| refresh(ada.refresh_token.clone()))).await;
    let bodies: Vec<_> = tabs.into_iter().map(|answer| answer.expect(200)).collect();
    let next = text(&bodies[0], "refresh_token").to_owned();
    assert!(bodies.iter().all(|body| text(body, "refresh_token") == next));
    let after = refresh(next.clone()).await.expect(200);
    // The first token again: its successor was used, so one of the two stole it.
    let reused = refresh(ada.refresh_token.clone()).await;
    assert_eq!((reused.status, reused.code()), (401, "invalid_refresh_token"));
    assert_eq!(
        refresh(text(&after, "refresh_token").to_owned()).await.status,
        401
    );
    stack
        .eventually(|| async { (ada.api.get("/api/v1/users/me").await.status == 401).then_some(()) })
        .await;

    // Another session of the same account goes on, until it signs out.
    let other = sign_in(&stack, &ada.email, PASSWORD).await;
    other.api.get("/api/v1/users/me").await.expect(200);
    other.api.post("/api/v1/auth/logout", json!({})).await.expect(204);
    stack
        .eventually(|| async {
            (other.api.get("/api/v1/users/me/enrollments").await.status == 401).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_sees_its_own_schema_alone() {
    let stack = Stack::start().await;
    for (service, foreign) in [
        ("enrollment", "auth.users"),
        ("notification", "enrollment.enrollments"),
        ("catalog", "auth.passwords"),
        ("auth", "catalog.courses"),
    ] {
        use sqlx::Connection;
        let mut own = sqlx::PgConnection::connect(&stack.database_url(service))
            .await
            .unwrap();
        let read = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {foreign}")))
            .execute(&mut own)
            .await;
        let code = read
            .unwrap_err()
            .into_database_error()
            .and_then(|fault| fault.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{service} reads {foreign}");
    }
}

/// kill -9 of enrollment and of notification under load: what was acknowledged has one notification and one mail.
#[tokio::test(flavor = "multi_thread")]
async fn fault_killed_processes_lose_and_double_nothing() {
    let rounds = repetitions("SC_KILL_ROUNDS", 8);
    let mut stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let (mut acknowledged, mut addresses) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Each round somebody else's: a user's hour has only so many mails.
        let ada = student(&stack, &format!("ada{round}")).await;
        addresses.push(ada.email.clone());
        let mut courses = Vec::new();
        for number in 0..5 {
            courses.push(
                text(
                    &course_with(&deniz, json!({"title": format!("Course {round}.{number}")})).await,
                    "id",
                )
                .to_owned(),
            );
        }
        let enroll = {
            let (api, courses) = (ada.api.clone(), courses.clone());
            tokio::spawn(async move {
                let attempts = courses.into_iter().map(|course| {
                    let api = api.clone();
                    async move {
                        let path = format!("/api/v1/courses/{course}/enroll");
                        let answer = api.try_send(reqwest::Method::POST, &path, None, &[]).await;
                        answer
                            .is_ok_and(|a| [200, 201].contains(&a.status))
                            .then_some(course)
                    }
                });
                futures::future::join_all(attempts).await
            })
        };
        let victim = if round % 2 == 0 {
            Process::Enrollment
        } else {
            Process::Notification
        };
        stack.kill(victim);
        acknowledged.extend(enroll.await.unwrap().into_iter().flatten());
        stack.spawn(victim);
        stack.wait_ready(victim).await;
        // Who got no answer asks again, as a client would.
        for course in courses
            .iter()
            .filter(|course| !acknowledged.contains(course))
            .cloned()
            .collect::<Vec<_>>()
        {
            let path = format!("/api/v1/courses/{course}/enroll");
            stack
                .eventually(|| async {
                    [200, 201]
                        .contains(&ada.api.post(&path, json!({})).await.status)
                        .then_some(())
                })
                .await;
            acknowledged.push(course);
        }
    }
    assert_eq!(acknowledged.len(), rounds * 5);
    stack
        .eventually(|| async {
            let (mailbox, kind) = (stack.mailbox(), "enrollment_created");
            let sent = addresses.iter().map(|address| mailbox.find(address, kind).len());
            (sent.sum::<usize>() >= acknowledged.len()).then_some(())
        })
        .await;
    let mut database = stack.superuser().await;
    let (told, mailed): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM notification.notifications WHERE kind = 'enrollment.created'),
                (SELECT count(*) FROM notification.mails WHERE kind = 'enrollment_created')",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    let expected = i64::try_from(acknowledged.len()).unwrap();
    assert_eq!((told, mailed), (expected, expected));
    let (mailbox, kind) = (stack.mailbox(), "enrollment_created");
    let sent = addresses.iter().map(|address| mailbox.find(address, kind).len());
    assert_eq!(sent.sum::<usize>(), acknowledged.len());
    #[expect(clippy::print_stdout, reason = "what the run showed")]
    {
        println!("{rounds} kills, {expected} enrolments acknowledged: as many notifications and mails");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teacher_enrols_a_class_from_a_file() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let course = course_with(&deniz, json!({"title": "Matematik"})).await;
    let course = format!("/api/v1/courses/{}/enrollments", text(&course, "id"));
    let ada = student(&stack, "ada").await;
    register(&stack, "ece").await;
    let content =
        "E-posta;Durum\r\nADA@journey.test;\r\nnobody@journey.test;\r\nece@journey.test;suspended\r\n";
    let import = async |query: &str, outcomes: [&str; 3]| {
        let body = json!({"format": "csv", "content": content});
        let report = deniz
            .api
            .post(&format!("{course}/import{query}"), body)
            .await
            .expect(200);
        let rows = report["rows"].as_array().unwrap();
        let told: Vec<_> = rows.iter().map(|row| row["outcome"].as_str().unwrap()).collect();
        assert_eq!(told, outcomes, "{report}");
        assert_eq!(
            (rows[1]["line"].as_i64(), rows[1]["code"].as_str()),
            (Some(3), Some("unknown_user"))
        );
    };
    let roster = async || {
        deniz.api.get(&course).await.expect(200)["enrollments"]
            .as_array()
            .unwrap()
            .clone()
    };
    import("?dry_run=true", ["created", "refused", "created"]).await;
    assert!(roster().await.is_empty());
    import("", ["created", "refused", "created"]).await;
    import("", ["unchanged", "refused", "unchanged"]).await;
    let path = format!("{course}/import?dry_run=true");
    let raw = deniz.api.post_file(&path, "text/csv", content).await.expect(200);
    assert_eq!(
        (&raw["unchanged"], &raw["refused"]),
        (&json!(2), &json!(1)),
        "{raw}"
    );
    let body = json!({"format": "csv", "content": content});
    let turkish = [("accept-language", "tr")];
    let told = deniz
        .api
        .send(reqwest::Method::POST, &path, Some(body), &turkish)
        .await
        .expect(200);
    assert_eq!(told["rows"][1]["detail"], "Böyle bir kullanıcı yok.");
    let mut found: Vec<_> = roster().await;
    found.sort_by_key(|one| one["full_name"].to_string());
    let found: Vec<_> = found
        .iter()
        .map(|one| (one["full_name"].as_str(), one["status"].as_str()))
        .collect();
    assert_eq!(
        found,
        [(Some("ada"), Some("active")), (Some("ece"), Some("suspended"))]
    );
    stack
        .eventually(|| async { stack.mailbox().find(&ada.email, "enrollment_created").pop() })
        .await;
}
