//! JSON of events: between versions, unlike that of requests.

use contracts::events::v1::UserPasswordResetRequested;
use serde_json::json;

#[test]
fn members_of_a_newer_version_are_ignored() {
    let event = json!({"user_id": "1", "telepathy": {"is": ["new"]}, "email": "ada@school.test"});
    let read: UserPasswordResetRequested = serde_json::from_value(event).unwrap();
    assert_eq!(
        (read.user_id.as_str(), read.email.as_str()),
        ("1", "ada@school.test")
    );
    assert!(!read.is_invitation());
}

#[test]
fn a_version_of_before_is_not_told_what_is_not_so() {
    let written = |is_invitation| {
        let event = UserPasswordResetRequested {
            is_invitation,
            ..UserPasswordResetRequested::default()
        };
        serde_json::to_value(event).unwrap()
    };
    assert_eq!(written(None).get("is_invitation"), None);
    assert_eq!(written(Some(true))["is_invitation"], true);
}
