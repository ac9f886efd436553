//! A new address is proven before it counts, and tells nobody who is registered.

use std::time::Duration;

use contracts::events::v1::{
    UserEmailChangeRequested, UserPasswordResetRequested, UserRegistrationRepeated, UserSecurityChanged,
    UserUpdated, UserVerificationRequested,
};
use futures::future::join_all;

use super::accounts::invitation;
use super::hardening::code_of;
use super::school::{PASSWORD, School, sign_in};
use crate::storage::users::Changes;
use crate::usecases::change_email::change_email;
use crate::usecases::confirm_email::confirm_email;
use crate::usecases::confirm_password_reset::confirm_password_reset;
use crate::usecases::create_user::create_user;
use crate::usecases::impersonate::impersonate;
use crate::usecases::login::login;
use crate::usecases::reach::Reach;
use crate::usecases::request_password_reset::request_password_reset;
use crate::usecases::update_user::update_user;

impl School {
    /// The secret in the latest mail to a new address.
    async fn email_change(&self) -> String {
        let mails = self.events::<UserEmailChangeRequested>().await;
        mails.into_iter().next_back().unwrap().token
    }

    async fn notices(&self, change: &str) -> Vec<String> {
        let told = self.events::<UserSecurityChanged>().await.into_iter();
        told.filter(|event| event.change == change)
            .map(|event| event.email)
            .collect()
    }
}

fn to_address(email: &str) -> Changes {
    Changes {
        email: Some(email.into()),
        ..Changes::default()
    }
}

#[tokio::test]
async fn an_address_changes_with_the_link_and_not_before() {
    let school = School::open().await;
    let ada = school.register("adda@school.test").await;
    let tokens = school.sign_in("adda@school.test").await;
    let caller = school.caller(&tokens).await;
    let wrong = change_email(&school.auth, &caller, "ada@school.test", "wrong").await;
    assert_eq!(code_of(wrong), Some("wrong_password"));
    request_password_reset(&school.auth, "adda@school.test")
        .await
        .unwrap();
    let reset = school.reset(&ada).await;
    for asked in [" first@school.test", "Ada@School.test "] {
        change_email(&school.auth, &caller, asked, PASSWORD)
            .await
            .unwrap();
        school.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(school.stored(ada.id).await.email, "adda@school.test");
    let mails = school.events::<UserEmailChangeRequested>().await;
    let to: Vec<&str> = mails.iter().map(|mail| mail.email.as_str()).collect();
    assert_eq!(to, ["first@school.test", "Ada@School.test"]);
    assert_eq!(
        school.notices("email_change_requested").await,
        ["adda@school.test", "adda@school.test"]
    );
    // The last one asked for counts.
    let stale = confirm_email(&school.auth, mails[0].token.clone()).await;
    assert_eq!(code_of(stale), Some("invalid_one_time_token"));
    for _ in 0..2 {
        confirm_email(&school.auth, mails[1].token.clone()).await.unwrap();
    }
    let stored = school.stored(ada.id).await;
    assert_eq!(stored.email, "Ada@School.test");
    assert!(stored.email_verified_at.is_some());
    let told = school.events::<UserUpdated>().await;
    assert_eq!(
        told.iter()
            .map(|event| (event.email.as_str(), event.email_verified))
            .collect::<Vec<_>>(),
        [("Ada@School.test", true)]
    );
    assert_eq!(school.notices("email").await, ["adda@school.test"]);
    school.verify(&tokens.access_token).await.unwrap();
    school.sign_in("ADA@school.test").await;
    let old = login(&school.auth, sign_in("adda@school.test", PASSWORD)).await;
    assert_eq!(code_of(old), Some("invalid_credentials"));
    let void = confirm_password_reset(&school.auth, reset, "yepyeni bir parola").await;
    assert_eq!(code_of(void), Some("invalid_one_time_token"));
    let actions = school.actions(&ada.id.to_string()).await;
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!(
        (count("user.email_change_requested"), count("user.email_changed")),
        (2, 1)
    );
    // Nobody else gets in by the address of before.
    change_email(&school.auth, &caller, "late@school.test", PASSWORD)
        .await
        .unwrap();
    let late = school.email_change().await;
    school.clock.advance(Duration::from_hours(24));
    assert_eq!(
        code_of(confirm_email(&school.auth, late).await),
        Some("invalid_one_time_token")
    );
}

#[tokio::test]
async fn a_taken_address_is_answered_alike_and_the_quicker_one_gets_a_free_one() {
    let school = School::open().await;
    let can = school.register("can@school.test").await;
    school.user("root@school.test", "admin").await;
    let mut links = Vec::new();
    for (n, asked) in [
        (0, "CAN@SCHOOL.TEST"),
        (1, "alı@school.test"),
        (2, "ALİ@school.test"),
    ] {
        let own = format!("ada{n}@school.test");
        school.register(&own).await;
        let caller = school.caller(&school.sign_in(&own).await).await;
        change_email(&school.auth, &caller, asked, PASSWORD)
            .await
            .unwrap();
        if n > 0 {
            links.push(school.email_change().await);
        }
        school.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(school.events::<UserEmailChangeRequested>().await.len(), 2);
    let told = school.events::<UserRegistrationRepeated>().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].user_id, can.id.to_string());
    let outcomes = join_all(links.into_iter().map(|link| confirm_email(&school.auth, link))).await;
    let mut codes: Vec<_> = outcomes.into_iter().map(code_of).collect();
    codes.sort_unstable();
    assert_eq!(codes, [None, Some("email_taken")]);
    let keys = "SELECT count(*) FROM auth.users WHERE email_key = 'ali@school.test'";
    assert_eq!(school.count(keys).await, 1);

    let root = school.caller(&school.sign_in("root@school.test").await).await;
    let (token, _) = impersonate(&school.auth, &root, can.id, "a ticket")
        .await
        .unwrap();
    let acting = school.verify(&token).await.unwrap();
    let refused = change_email(&school.auth, &acting, "x@school.test", PASSWORD).await;
    assert_eq!(code_of(refused), Some("permission_denied"));
}

#[tokio::test]
async fn who_was_deactivated_is_not_told_of_a_wrong_password() {
    let school = School::open().await;
    let ada = school.user("ada@school.test", "student").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let inactive = Changes {
        is_active: Some(false),
        ..Changes::default()
    };
    update_user(&school.auth, &Reach::SYSTEM, ada.id, inactive)
        .await
        .unwrap();
    let refused = change_email(&school.auth, &caller, "new@school.test", PASSWORD).await;
    assert_eq!(code_of(refused), Some("unauthenticated"));
}

#[tokio::test]
async fn an_admin_corrects_an_address_at_once() {
    let school = School::open().await;
    let ada = school.user("ada@school.test", "student").await;
    school.register("can@school.test").await;
    let verifications = school.events::<UserVerificationRequested>().await.len();
    let taken = update_user(
        &school.auth,
        &Reach::SYSTEM,
        ada.id,
        to_address("CAN@school.test"),
    )
    .await;
    assert_eq!(code_of(taken), Some("email_taken"));
    let same = update_user(
        &school.auth,
        &Reach::SYSTEM,
        ada.id,
        to_address(" ada@school.test"),
    )
    .await
    .unwrap();
    assert!(same.email_verified_at.is_some(), "the same is no new one");
    let moved = update_user(
        &school.auth,
        &Reach::SYSTEM,
        ada.id,
        to_address("new@school.test"),
    )
    .await
    .unwrap();
    assert_eq!(
        (moved.email.as_str(), moved.email_verified_at),
        ("new@school.test", None)
    );
    assert_eq!(school.notices("email").await, ["ada@school.test"]);
    let mails = school.events::<UserVerificationRequested>().await;
    assert_eq!(mails.len(), verifications + 1);
    assert_eq!(mails.last().unwrap().email, "new@school.test");
    school.sign_in("new@school.test").await;
    // The address of before is free.
    school.register("ada@school.test").await;
    assert_ne!(school.sign_in("ada@school.test").await.user.id, ada.id);

    // Who was invited by a wrong address is invited again, and the wrong one opens nothing.
    let isil = create_user(
        &school.auth,
        &Reach::SYSTEM,
        invitation("isl@school.test", "student"),
    )
    .await
    .unwrap();
    let first = school.reset(&isil).await;
    school.clock.advance(Duration::from_secs(1));
    update_user(
        &school.auth,
        &Reach::SYSTEM,
        isil.id,
        to_address("isil@school.test"),
    )
    .await
    .unwrap();
    let invitations = school.events::<UserPasswordResetRequested>().await;
    let last = invitations.last().unwrap();
    assert_eq!(
        (last.email.as_str(), last.is_invitation),
        ("isil@school.test", Some(true))
    );
    let void = confirm_password_reset(&school.auth, first, PASSWORD).await;
    assert_eq!(code_of(void), Some("invalid_one_time_token"));
    let second = school.reset(&isil).await;
    confirm_password_reset(&school.auth, second, PASSWORD)
        .await
        .unwrap();
    let actions = school.actions(&isil.id.to_string()).await;
    assert!(actions.iter().any(|action| action == "user.email_changed"));
}
