use std::time::Duration;

use futures::future::join_all;

use super::school::School;
use crate::keys::KeyRingError;

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
        keys.issue_service("catalog", time::Duration::minutes(10))
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
