//! Exports and erasures for who asks by letter.

use std::time::Duration;

use access_token::permissions;
use contracts::events::v1::UserErased;

use super::hardening::code_of;
use super::school::School;
use crate::usecases::delete_user::delete_user;
use crate::usecases::export_user::export_user;
use crate::usecases::operations;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_somebody_goes_to_who_asked_for_it_alone() {
    let school = School::open().await;
    let root = school.user("root@school.test", "admin").await;
    school.user("other@school.test", "admin").await;
    let ada = school.user("ada@school.test", "student").await;
    let admin = school.caller(&school.sign_in("root@school.test").await).await;
    let other = school.caller(&school.sign_in("other@school.test").await).await;
    let begun = export_user(&school.auth, &admin, ada.id).await.unwrap();
    let again = export_user(&school.auth, &admin, ada.id).await.unwrap();
    assert_eq!(begun.id, again.id);
    assert!(operations::work_once(&school.auth).await.unwrap());
    let file = operations::result(&school.auth, &admin, begun.id, 0)
        .await
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&file.content).unwrap();
    assert_eq!(document["user_id"], ada.id.to_string());
    assert_eq!(
        document["services"]["auth"]["account"][0]["email"],
        "ada@school.test"
    );
    for stranger in [
        &other,
        &school.caller(&school.sign_in("ada@school.test").await).await,
    ] {
        let hidden = operations::operation(&school.auth, stranger, begun.id).await;
        assert_eq!(code_of(hidden), Some("not_found"));
    }
    let own = export_user(&school.auth, &admin, root.id).await;
    assert_eq!(code_of(own), Some("permission_denied"));
    // Who has less than the person in question has no say over them.
    let clerk = school
        .holder("clerk", &[permissions::PERSONAL_DATA_MANAGE], false)
        .await;
    for refused in [
        export_user(&school.auth, &clerk, root.id).await,
        delete_user(&school.auth, &clerk, root.id).await,
    ] {
        assert_eq!(code_of(refused), Some("more_than_yours"));
    }
    let actions = school.actions(&ada.id.to_string()).await;
    let exported = actions.iter().filter(|action| *action == "user.exported");
    assert_eq!(exported.count(), 1);

    // What was gathered goes with the account, and nothing of it is gathered afterwards.
    delete_user(&school.auth, &admin, ada.id).await.unwrap();
    let gone = operations::result(&school.auth, &admin, begun.id, 0).await;
    assert_eq!(code_of(gone), Some("not_found"));
    let late = export_user(&school.auth, &admin, ada.id).await;
    assert_eq!(code_of(late), Some("not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_erases_somebody_once_and_not_themselves() {
    let school = School::open().await;
    let root = school.user("root@school.test", "admin").await;
    let ada = school.user("ada@school.test", "student").await;
    let tokens = school.sign_in("ada@school.test").await;
    let admin = school.caller(&school.sign_in("root@school.test").await).await;
    let own = delete_user(&school.auth, &admin, root.id).await;
    assert_eq!(code_of(own), Some("permission_denied"));
    let erasure = delete_user(&school.auth, &admin, ada.id).await.unwrap();
    assert_eq!((erasure.owner_id, erasure.subject_id), (root.id, Some(ada.id)));
    assert!(School::is_revoked(&school.verify(&tokens.access_token).await));
    let stored = school.stored(ada.id).await;
    assert!(stored.full_name.is_empty() && stored.email.ends_with("@erased.invalid"));
    assert_eq!(school.events::<UserErased>().await.len(), 1);
    let twice = delete_user(&school.auth, &admin, ada.id).await;
    assert_eq!(code_of(twice), Some("not_found"));
    let actions = school.actions(&ada.id.to_string()).await;
    let erased = actions.iter().filter(|action| *action == "user.erased");
    assert_eq!(erased.count(), 1);

    let second = school.user("second@school.test", "admin").await;
    let other = school.caller(&school.sign_in("second@school.test").await).await;
    delete_user(&school.auth, &other, root.id).await.unwrap();
    school.clock.advance(Duration::from_mins(16));
    let can = school.user("can@school.test", "student").await;
    let stale = delete_user(&school.auth, &other, can.id).await;
    assert_eq!(code_of(stale), Some("sign_in_again"));
    assert!(school.stored(second.id).await.is_active);
}
