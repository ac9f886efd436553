use std::time::Duration;

use contracts::events::v1::TokenRevoked;
use futures::future::join_all;
use problem::codes;
use test_support::{count_queries, eventually};

use super::school::{FIRST_PAGE, PASSWORD, School, sign_in};
use crate::jobs::remove_expired;
use crate::storage::users::Changes;
use crate::usecases::login::login;
use crate::usecases::logout::logout;
use crate::usecases::paging::Paging;
use crate::usecases::reach::Reach;
use crate::usecases::refresh::refresh;
use crate::usecases::sessions::{end_other_sessions, end_session, list_sessions};
use crate::usecases::update_user::update_user;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(flavor = "multi_thread")]
async fn fifty_refreshes_at_once_keep_one_chain() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let first = school.sign_in("ada@school.test").await.refresh_token;
    let tabs = (0..50).map(|_| refresh(&school.auth, first.clone()));
    let answers: Vec<_> = join_all(tabs).await.into_iter().map(Result::unwrap).collect();
    for tokens in &answers {
        assert_eq!(tokens.refresh_token, answers[0].refresh_token);
        school.verify(&tokens.access_token).await.unwrap();
    }
    assert_eq!(school.count("SELECT count(*) FROM auth.refresh_tokens").await, 2);
    assert_eq!(
        school
            .count("SELECT count(*) FROM auth.refresh_tokens WHERE used_at IS NULL")
            .await,
        1
    );
    refresh(&school.auth, answers[0].refresh_token.clone())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_reply_may_be_asked_for_again_and_reuse_ends_this_session_alone() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let (stolen, other) = (
        school.sign_in("ada@school.test").await,
        school.sign_in("ada@school.test").await,
    );
    let second = refresh(&school.auth, stolen.refresh_token.clone()).await.unwrap();
    let again = refresh(&school.auth, stolen.refresh_token.clone()).await.unwrap();
    assert_eq!(second.refresh_token, again.refresh_token);
    let third = refresh(&school.auth, second.refresh_token).await.unwrap();

    let reused = refresh(&school.auth, stolen.refresh_token).await;
    assert_eq!(reused.unwrap_err().code(), &codes::INVALID_REFRESH_TOKEN);
    let after = refresh(&school.auth, third.refresh_token).await;
    assert_eq!(after.unwrap_err().code(), &codes::INVALID_REFRESH_TOKEN);
    assert!(School::is_revoked(&school.verify(&third.access_token).await));
    assert_eq!(school.events::<TokenRevoked>().await.len(), 1);

    school.verify(&other.access_token).await.unwrap();
    refresh(&school.auth, other.refresh_token).await.unwrap();
}

#[tokio::test]
async fn unknown_tokens_are_refused() {
    let school = School::open().await;
    for token in ["", "rt_", "rt_nonsense", "İ\u{0}"] {
        let refused = refresh(&school.auth, token.into()).await;
        assert_eq!(refused.unwrap_err().code(), &codes::INVALID_REFRESH_TOKEN);
    }
}

#[tokio::test]
async fn a_session_ends_unused_after_two_weeks_and_used_after_thirty_days() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let idle = school.sign_in("ada@school.test").await;
    let mut used = school.sign_in("ada@school.test").await.refresh_token;
    for _ in 0..2 {
        school.clock.advance(DAY * 13);
        school.auth.keys.refresh().await.unwrap();
        used = refresh(&school.auth, used).await.unwrap().refresh_token;
    }
    let refused = refresh(&school.auth, idle.refresh_token).await;
    assert_eq!(refused.unwrap_err().code(), &codes::INVALID_REFRESH_TOKEN);
    school.clock.advance(DAY * 4);
    let refused = refresh(&school.auth, used).await;
    assert_eq!(refused.unwrap_err().code(), &codes::INVALID_REFRESH_TOKEN);
}

#[tokio::test]
async fn whatever_is_wrong_signing_in_answers_alike() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let can = school.register("can@school.test").await;
    let inactive = Changes {
        is_active: Some(false),
        ..Changes::default()
    };
    update_user(&school.auth, &Reach::SYSTEM, can.id, inactive)
        .await
        .unwrap();
    let mut answers = Vec::new();
    for (email, password) in [
        ("nobody@school.test", PASSWORD),
        ("ada@school.test", "another password"),
        ("can@school.test", PASSWORD),
    ] {
        let problem = login(&school.auth, sign_in(email, password)).await.unwrap_err();
        answers.push(format!("{problem:?}"));
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert!(answers[0].contains("invalid_credentials"));
}

#[tokio::test]
async fn signing_out_holds_at_once_and_is_mirrored() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let tokens = school.sign_in("ada@school.test").await;
    let caller = school.caller(&tokens).await;
    let redis = &school.auth.redis;
    eventually(Duration::from_secs(10), || async {
        redis.ping().await.then_some(())
    })
    .await;
    logout(&school.auth, &caller).await.unwrap();
    assert!(School::is_revoked(&school.verify(&tokens.access_token).await));
    assert!(refresh(&school.auth, tokens.refresh_token).await.is_err());

    let session = caller.user().unwrap().session_id.to_string();
    let told = school.events::<TokenRevoked>().await;
    assert_eq!((told[0].kind.as_str(), &told[0].subject), ("session", &session));
    let key = redis.key(&cache::Key::RevokedSession(session));
    let seconds: Option<i64> = redis
        .run(|client| async move {
            use cache::fred::interfaces::KeysInterface;
            client.ttl(key).await
        })
        .await;
    // C-AUTH-03: until the last token has expired.
    assert!((900..=930).contains(&seconds.unwrap()), "{seconds:?}");
}

#[tokio::test]
async fn a_person_sees_and_ends_their_own_sessions() {
    let school = School::open().await;
    for email in ["ada@school.test", "can@school.test"] {
        school.register(email).await;
    }
    let first = school.sign_in("ada@school.test").await;
    school.clock.advance(Duration::from_secs(1));
    let second = school.sign_in("ada@school.test").await;
    let (ada, can) = (
        school.caller(&second).await,
        school.caller(&school.sign_in("can@school.test").await).await,
    );
    let listed = list_sessions(&school.auth, &ada, FIRST_PAGE).await.unwrap().items;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].id, ada.user().unwrap().session_id);
    let part = async |caller, token: &str| {
        let paging = Paging {
            size: 1,
            token: Some(token),
        };
        list_sessions(&school.auth, caller, paging).await
    };
    let newest = part(&ada, "").await.unwrap();
    let token = newest.next_page_token;
    let oldest = part(&ada, &token).await.unwrap();
    assert_eq!([newest.items, oldest.items].concat(), listed);
    assert_eq!(oldest.next_page_token, "");
    let foreign = part(&can, &token).await.unwrap_err();
    assert_eq!(foreign.code(), &codes::INVALID_PAGE_TOKEN);

    let foreign = end_session(&school.auth, &can, listed[1].id).await;
    assert_eq!(foreign.unwrap_err().code(), &codes::NOT_FOUND);
    for _ in 0..2 {
        end_session(&school.auth, &ada, listed[1].id).await.unwrap();
    }
    assert!(School::is_revoked(&school.verify(&first.access_token).await));
    school.sign_in("ada@school.test").await;
    end_other_sessions(&school.auth, &ada).await.unwrap();
    assert_eq!(
        list_sessions(&school.auth, &ada, FIRST_PAGE).await.unwrap().items,
        vec![listed[0].clone()]
    );
    school.verify(&second.access_token).await.unwrap();
}

#[tokio::test]
async fn cleaning_removes_what_is_over_and_leaves_what_lives() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let over = school.sign_in("ada@school.test").await;
    logout(&school.auth, &school.caller(&over).await).await.unwrap();
    let mut token = school.sign_in("ada@school.test").await.refresh_token;
    for _ in 0..3 {
        school.clock.advance(DAY * 9);
        token = refresh(&school.auth, token).await.unwrap().refresh_token;
    }
    school.clock.advance(Duration::from_hours(73));
    remove_expired(&school.auth).await.unwrap();
    assert_eq!(school.count("SELECT count(*) FROM auth.sessions").await, 1);
    // The chain's end and what was used within a week.
    assert_eq!(school.count("SELECT count(*) FROM auth.refresh_tokens").await, 2);
    assert_eq!(school.count("SELECT count(*) FROM auth.revocations").await, 0);
    assert_eq!(school.count("SELECT count(*) FROM auth.one_time_tokens").await, 0);
}

#[tokio::test]
async fn signing_in_and_renewing_take_a_bounded_number_of_queries() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let (tokens, queries) = count_queries(school.sign_in("ada@school.test")).await;
    assert!((1..=10).contains(&queries.count()), "{queries:#?}");
    let (_, queries) = count_queries(refresh(&school.auth, tokens.refresh_token)).await;
    assert!((1..=7).contains(&queries.count()), "{queries:#?}");
}
