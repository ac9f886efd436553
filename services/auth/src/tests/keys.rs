use std::time::Duration;

use access_token::{KeySource, Revocations, Verifier};
use contracts::events::v1::TokenRevoked;
use futures::future::join_all;

use super::school::School;
use crate::keys::KeyRingError;
use crate::usecases::list_revocations::list_revocations;
use crate::usecases::refresh::refresh;
use crate::usecases::withdraw_key::{WithdrawKeyError, withdraw_key};

const DAY: Duration = Duration::from_hours(24);

fn kid(token: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after() {
    let school = School::open().await;
    let keys = &school.auth.keys;
    let issue = || {
        keys.issue_service("catalog", "auth", time::Duration::minutes(10))
            .unwrap()
    };
    let first = kid(&issue());
    assert_eq!(keys.published().len(), 1);

    school.clock.advance(DAY * 29 + Duration::from_mins(24 * 60 - 9));
    keys.refresh().await.unwrap();
    assert_eq!(keys.published().len(), 2);
    let last_of_first = issue();
    assert_eq!(kid(&last_of_first), first);

    school.clock.advance(Duration::from_mins(9));
    keys.refresh().await.unwrap();
    assert_ne!(kid(&issue()), first);
    school.verify(&last_of_first).await.unwrap();

    school.clock.advance(Duration::from_hours(3));
    keys.refresh().await.unwrap();
    assert_eq!(keys.published().len(), 1);
    assert_ne!(keys.published()[0].kid, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_share_one_key() {
    let school = School::open().await;
    sqlx::query("DELETE FROM auth.signing_keys")
        .execute(school.auth.db.primary())
        .await
        .unwrap();
    let instances: Vec<_> = (0..5)
        .map(|_| school.other_instance(super::school::ENCRYPTION_KEY))
        .collect();
    for outcome in join_all(instances.iter().map(|auth| auth.keys.refresh())).await {
        outcome.unwrap();
    }
    assert_eq!(school.count("SELECT count(*) FROM auth.signing_keys").await, 1);
    for auth in &instances {
        assert_eq!(auth.keys.published(), instances[0].keys.published());
    }
}

#[tokio::test]
async fn another_encryption_key_opens_nothing() {
    let school = School::open().await;
    let other = school.other_instance("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    assert!(matches!(other.keys.refresh().await, Err(KeyRingError::Seal(_))));
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_at_once_and_another_signs() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let before = school.sign_in("ada@school.test").await;
    let withdrawn = kid(&before.access_token);
    // A process that has verified with the key, and one that has not heard of anything yet.
    let revocations = Revocations::default();
    let elsewhere = Verifier::new(
        school.auth.keys.clone(),
        revocations.clone(),
        "student-coaching",
        "student-coaching-api",
        school.clock.clone(),
    );
    elsewhere.verify(&before.access_token).await.unwrap();
    let mut told = revocations.withdrawn_keys();

    withdraw_key(&school.auth, &withdrawn).await.unwrap();
    let event = &school.events::<TokenRevoked>().await[0];
    assert_eq!(
        (event.kind.as_str(), event.subject.as_str()),
        ("key", withdrawn.as_str())
    );
    let (entries, _) = list_revocations(&school.auth, None).await.unwrap();
    entries.into_iter().for_each(|entry| revocations.apply(entry));
    assert!(School::is_revoked(&elsewhere.verify(&before.access_token).await));
    assert!(told.has_changed().unwrap());
    told.mark_unchanged();

    // The running instance takes the successor over, and signs with it.
    let published = school.auth.keys.fetch().await.unwrap();
    assert!(published.len() == 1 && published[0].kid != withdrawn);
    elsewhere.refresh_keys().await.unwrap();
    let after = school.sign_in("ada@school.test").await;
    assert_eq!(kid(&after.access_token), published[0].kid);
    elsewhere.verify(&after.access_token).await.unwrap();
    // Sessions are not signed with it: who was signed in goes on.
    let refreshed = refresh(&school.auth, before.refresh_token).await.unwrap();
    elsewhere.verify(&refreshed.access_token).await.unwrap();
    assert_eq!(
        school
            .count("SELECT count(*) FROM auth.audit_log WHERE action = 'key.withdrawn'")
            .await,
        1
    );
    for unknown in [withdrawn.as_str(), "nonsense"] {
        let refused = withdraw_key(&school.auth, unknown).await;
        assert!(matches!(refused, Err(WithdrawKeyError::Unknown)), "{unknown}");
    }
}

/// A successor that is published already is the one that signs.
#[tokio::test]
async fn a_successor_that_waits_signs_earlier_and_one_that_is_withdrawn_never() {
    let school = School::open().await;
    let keys = &school.auth.keys;
    let signs = || {
        kid(&keys
            .issue_service("catalog", "auth", time::Duration::minutes(10))
            .unwrap())
    };
    school.clock.advance(DAY * 29 + Duration::from_mins(24 * 60 - 9));
    keys.refresh().await.unwrap();
    let [first, second] = keys.published().try_into().unwrap();
    withdraw_key(&school.auth, &first.kid).await.unwrap();
    keys.refresh().await.unwrap();
    assert_eq!(signs(), second.kid);
    assert_eq!(keys.published().len(), 1);

    school.clock.advance(DAY * 30);
    keys.refresh().await.unwrap();
    let [second, third] = keys.published().try_into().unwrap();
    withdraw_key(&school.auth, &third.kid).await.unwrap();
    keys.refresh().await.unwrap();
    assert_eq!(signs(), second.kid);
    assert!(keys.published().iter().all(|key| key.kid != third.kid));
}
