use std::time::Duration;

use contracts::events::v1::{
    UserRegistered, UserRegistrationRepeated, UserUpdated, UserVerificationRequested,
};
use futures::future::join_all;
use problem::codes;

use super::school::{FIRST_ADMIN, PASSWORD, School, request, sign_in};
use crate::demo::make_accounts;
use crate::storage::users::{self, User};
use crate::usecases::login::login;
use crate::usecases::register::register;
use crate::usecases::verify_email::{promote_first_admin, resend_verification, verify_email};

#[tokio::test]
async fn a_taken_address_is_answered_alike_and_its_owner_is_told() {
    let school = School::open().await;
    let owner = school.register("ada@school.test").await;
    let mut second = request("ADA@School.test");
    second.password = "what somebody else chose".into();
    second.full_name = "Mallory".into();
    let answer = register(&school.auth, second).await.unwrap();

    assert_ne!(answer.id, owner.id);
    let alike = User {
        id: answer.id,
        email: "ADA@School.test".into(),
        full_name: "Mallory".into(),
        ..owner.clone()
    };
    assert_eq!(answer, alike);
    assert!(
        users::by_id(school.auth.db.primary(), answer.id)
            .await
            .unwrap()
            .is_none()
    );
    let refused = login(
        &school.auth,
        sign_in("ada@school.test", "what somebody else chose"),
    )
    .await;
    assert_eq!(refused.unwrap_err().code(), &codes::INVALID_CREDENTIALS);
    assert_eq!(school.sign_in("ada@school.test").await.user.id, owner.id);

    assert_eq!(school.events::<UserRegistered>().await.len(), 1);
    assert_eq!(school.events::<UserVerificationRequested>().await.len(), 1);
    let told = school.events::<UserRegistrationRepeated>().await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].email.as_str(), told[0].full_name.as_str()),
        ("ada@school.test", "Ada Yılmaz")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_registrations_at_once_one_makes_the_account() {
    let school = School::open().await;
    let spellings = [
        "ali@school.test",
        "ALİ@SCHOOL.TEST",
        "Ali@School.test",
        "alı@school.test",
    ];
    let attempts = (0..100).map(|n| register(&school.auth, request(spellings[n % 4])));
    assert!(join_all(attempts).await.iter().all(Result::is_ok));
    assert_eq!(school.count("SELECT count(*) FROM auth.users").await, 1);
    assert_eq!(school.events::<UserRegistered>().await.len(), 1);
    assert_eq!(school.events::<UserRegistrationRepeated>().await.len(), 99);
    login(&school.auth, sign_in("ALI@SCHOOL.TEST", PASSWORD))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_link_verifies_once_may_be_followed_again_and_expires() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let token = school.verification(&ada).await;
    for _ in 0..2 {
        verify_email(&school.auth, token.clone()).await.unwrap();
    }
    let updates = school.events::<UserUpdated>().await;
    assert_eq!(updates.len(), 1);
    assert!(updates[0].email_verified && updates[0].version == 2);

    let unknown = verify_email(&school.auth, "ev_nonsense".into()).await;
    assert_eq!(unknown.unwrap_err().code(), &codes::INVALID_ONE_TIME_TOKEN);

    let can = school.register("can@school.test").await;
    let late = school.verification(&can).await;
    school.clock.advance(Duration::from_hours(73));
    let expired = verify_email(&school.auth, late).await;
    assert_eq!(expired.unwrap_err().code(), &codes::INVALID_ONE_TIME_TOKEN);
    let caller = school.caller(&school.sign_in("can@school.test").await).await;
    resend_verification(&school.auth, &caller).await.unwrap();
    verify_email(&school.auth, school.verification(&can).await)
        .await
        .unwrap();
    assert!(school.stored(can.id).await.email_verified_at.is_some());
}

#[tokio::test]
async fn the_first_admin_is_the_very_address_once_it_is_verified() {
    let school = School::open().await;
    let admin = school.register(FIRST_ADMIN).await;
    let before = school.sign_in(FIRST_ADMIN).await;
    assert_eq!(school.stored(admin.id).await.role, "student");
    school.clock.advance(Duration::from_secs(1));
    verify_email(&school.auth, school.verification(&admin).await)
        .await
        .unwrap();
    assert_eq!(school.stored(admin.id).await.role, "admin");
    assert!(School::is_revoked(&school.verify(&before.access_token).await));

    // Another mailbox that only folds to the same key.
    let other = School::open().await;
    let mallory = other.register("admın@school.test").await;
    verify_email(&other.auth, other.verification(&mallory).await)
        .await
        .unwrap();
    promote_first_admin(&other.auth).await.unwrap();
    assert_eq!(other.stored(mallory.id).await.role, "student");
}

#[tokio::test]
async fn a_verified_account_of_the_configured_address_is_promoted_at_start() {
    let school = School::open().await;
    let user = school.register(FIRST_ADMIN).await;
    promote_first_admin(&school.auth).await.unwrap();
    assert_eq!(school.stored(user.id).await.role, "student");
    // Verified before the address was configured.
    sqlx::query("UPDATE auth.users SET email_verified_at = created_at")
        .execute(school.auth.db.primary())
        .await
        .unwrap();
    for _ in 0..2 {
        promote_first_admin(&school.auth).await.unwrap();
    }
    let promoted = school.stored(user.id).await;
    assert_eq!((promoted.role.as_str(), promoted.version), ("admin", 2));
}

#[tokio::test]
async fn a_name_of_white_space_and_a_common_password_are_refused() {
    let school = School::open().await;
    let mut nameless = request("ada@school.test");
    nameless.full_name = " \u{2003}".into();
    let mut common = request("ada@school.test");
    common.password = "Password123".into();
    for (request, field) in [(nameless, "full_name"), (common, "password")] {
        let problem = register(&school.auth, request).await.unwrap_err();
        assert_eq!(problem.fields()[0].field, field);
    }
    assert_eq!(school.count("SELECT count(*) FROM auth.users").await, 0);
}

#[tokio::test]
async fn demo_accounts_are_made_once() {
    let school = School::open().await;
    for _ in 0..2 {
        make_accounts(&school.auth).await.unwrap();
        // Whoever tries out a new address has the same account.
        let moved = "UPDATE auth.users SET email = 'new@demo.test', email_key = 'new@demo.test' WHERE email LIKE 'student@%'";
        let done = sqlx::query(moved).execute(school.auth.db.primary());
        done.await.unwrap();
    }
    assert_eq!(school.events::<UserRegistered>().await.len(), 3);
    let admin = login(&school.auth, sign_in("admin@demo.test", "demo-demo-demo"))
        .await
        .unwrap();
    assert_eq!(admin.user.role, "admin");
    assert!(admin.user.email_verified_at.is_some());
}
