use std::time::Duration;

use contracts::events::v1::{UserPasswordResetRequested, UserUpdated};
use problem::codes;

use super::school::{PASSWORD, School, sign_in};
use crate::usecases::change_password::change_password;
use crate::usecases::confirm_password_reset::confirm_password_reset;
use crate::usecases::login::login;
use crate::usecases::request_password_reset::request_password_reset;

const NEW: &str = "yepyeni bir parola";

#[tokio::test]
async fn a_reset_is_answered_alike_and_only_owners_get_mail() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    for address in ["nobody@school.test", "ADA@school.test"] {
        request_password_reset(&school.auth, address).await.unwrap();
    }
    let mails = school.events::<UserPasswordResetRequested>().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (mails[0].email.as_str(), mails[0].is_invitation),
        ("ada@school.test", None)
    );
}

#[tokio::test]
async fn a_reset_sets_the_password_proves_the_address_and_ends_all_sessions() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let before = school.sign_in("ada@school.test").await;
    let mut links = Vec::new();
    for _ in 0..2 {
        request_password_reset(&school.auth, "ada@school.test")
            .await
            .unwrap();
        links.push(school.reset(&ada).await);
    }
    school.clock.advance(Duration::from_secs(1));
    let common = confirm_password_reset(&school.auth, links[1].clone(), "password123").await;
    assert_eq!(common.unwrap_err().fields()[0].code, "password.common");
    confirm_password_reset(&school.auth, links[1].clone(), NEW)
        .await
        .unwrap();
    // Used up, and so is the other one.
    for link in links {
        let again = confirm_password_reset(&school.auth, link, PASSWORD).await;
        assert_eq!(again.unwrap_err().code(), &codes::INVALID_ONE_TIME_TOKEN);
    }
    assert!(School::is_revoked(&school.verify(&before.access_token).await));
    assert!(
        login(&school.auth, sign_in("ada@school.test", PASSWORD))
            .await
            .is_err()
    );
    let after = login(&school.auth, sign_in("ada@school.test", NEW))
        .await
        .unwrap();
    school.verify(&after.access_token).await.unwrap();
    assert!(after.user.email_verified_at.is_some());
    assert_eq!(school.events::<UserUpdated>().await.len(), 1);
}

#[tokio::test]
async fn a_reset_link_expires_after_an_hour() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    request_password_reset(&school.auth, "ada@school.test")
        .await
        .unwrap();
    let link = school.reset(&ada).await;
    school.clock.advance(Duration::from_mins(61));
    let expired = confirm_password_reset(&school.auth, link, NEW).await;
    assert_eq!(expired.unwrap_err().code(), &codes::INVALID_ONE_TIME_TOKEN);
}

#[tokio::test]
async fn a_change_needs_the_password_keeps_this_session_and_voids_links() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let (own, other) = (
        school.sign_in("ada@school.test").await,
        school.sign_in("ada@school.test").await,
    );
    request_password_reset(&school.auth, "ada@school.test")
        .await
        .unwrap();
    let link = school.reset(&ada).await;
    let caller = school.caller(&own).await;
    let wrong = change_password(&school.auth, &caller, "another password", NEW)
        .await
        .unwrap_err();
    assert_eq!(
        (wrong.code(), wrong.fields()[0].field.as_str()),
        (&codes::WRONG_PASSWORD, "current_password")
    );
    change_password(&school.auth, &caller, PASSWORD, NEW)
        .await
        .unwrap();
    school.verify(&own.access_token).await.unwrap();
    assert!(School::is_revoked(&school.verify(&other.access_token).await));
    assert!(
        confirm_password_reset(&school.auth, link, PASSWORD)
            .await
            .is_err()
    );
    login(&school.auth, sign_in("ada@school.test", NEW))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_renewed_when_its_owner_signs_in() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let weak = weak_hash(PASSWORD);
    sqlx::query("UPDATE auth.passwords SET hash = $1 WHERE user_id = $2")
        .bind(&weak)
        .bind(ada.id.0)
        .execute(school.auth.db.primary())
        .await
        .unwrap();
    school.sign_in("ada@school.test").await;
    let renewed = school
        .count("SELECT count(*) FROM auth.passwords WHERE hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'")
        .await;
    assert_eq!(renewed, 1);
    school.sign_in("ada@school.test").await;
}

fn weak_hash(password: &str) -> String {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
    let hasher = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(8 * 1024, 1, 1, None).unwrap(),
    );
    hasher.hash_password(password.as_bytes()).unwrap().to_string()
}
