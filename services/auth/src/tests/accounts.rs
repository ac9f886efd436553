use std::time::Duration;

use contracts::auth::v1::CreateUserRequest;
use contracts::events::v1::{TokenRevoked, UserRegistered, UserUpdated};
use problem::codes;
use typed_id::UserId;

use super::school::{FIRST_PAGE, PASSWORD, School, sign_in};
use crate::storage::users::Changes;
use crate::usecases::confirm_password_reset::confirm_password_reset;
use crate::usecases::create_user::create_user;
use crate::usecases::issue_service_token::issue_service_token;
use crate::usecases::list_revocations::list_revocations;
use crate::usecases::list_users::{UserFilter, list_users};
use crate::usecases::login::login;
use crate::usecases::logout::logout;
use crate::usecases::paging::Paging;
use crate::usecases::reach::Reach;
use crate::usecases::refresh::refresh;
use crate::usecases::update_user::{update_me, update_user};
use crate::usecases::{users_by_email, users_by_id};

pub fn invitation(email: &str, role: &str) -> CreateUserRequest {
    CreateUserRequest {
        email: email.into(),
        full_name: "Işıl Şahin".into(),
        role: role.into(),
        locale: None,
        department: None,
        student_id: None,
    }
}

#[tokio::test]
async fn an_invited_person_chooses_their_password() {
    let school = School::open().await;
    let teacher = create_user(
        &school.auth,
        &Reach::SYSTEM,
        invitation("isil@school.test", "teacher"),
    )
    .await
    .unwrap();
    assert!(
        login(&school.auth, sign_in("isil@school.test", PASSWORD))
            .await
            .is_err()
    );
    let link = school.reset(&teacher).await;
    school.clock.advance(Duration::from_hours(48));
    confirm_password_reset(&school.auth, link, PASSWORD)
        .await
        .unwrap();
    let tokens = school.sign_in("isil@school.test").await;
    assert_eq!(tokens.user.role, "teacher");
    assert_eq!(school.events::<UserRegistered>().await.len(), 1);

    let taken = create_user(
        &school.auth,
        &Reach::SYSTEM,
        invitation("ISIL@school.test", "student"),
    )
    .await;
    assert_eq!(taken.unwrap_err().code(), &codes::EMAIL_TAKEN);
    let unknown = create_user(
        &school.auth,
        &Reach::SYSTEM,
        invitation("can@school.test", "wizard"),
    )
    .await;
    assert_eq!(unknown.unwrap_err().code(), &codes::UNKNOWN_ROLE);
}

#[tokio::test]
async fn a_new_role_needs_new_tokens_and_a_deactivation_ends_sessions() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let before = school.sign_in("ada@school.test").await;
    school.clock.advance(Duration::from_secs(1));
    let teacher = Changes {
        role: Some("teacher".into()),
        ..Changes::default()
    };
    update_user(&school.auth, &Reach::SYSTEM, ada.id, teacher)
        .await
        .unwrap();
    assert!(School::is_revoked(&school.verify(&before.access_token).await));
    let renewed = refresh(&school.auth, before.refresh_token).await.unwrap();
    assert!(school.caller(&renewed).await.has("courses:write"));

    school.clock.advance(Duration::from_secs(1));
    let inactive = Changes {
        is_active: Some(false),
        ..Changes::default()
    };
    update_user(&school.auth, &Reach::SYSTEM, ada.id, inactive)
        .await
        .unwrap();
    assert!(School::is_revoked(&school.verify(&renewed.access_token).await));
    assert!(refresh(&school.auth, renewed.refresh_token).await.is_err());
    let kinds: Vec<_> = school
        .events::<TokenRevoked>()
        .await
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "user").count(), 2);
    assert_eq!(kinds.iter().filter(|kind| *kind == "session").count(), 1);
}

#[tokio::test]
async fn a_person_changes_their_profile_but_not_their_role() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    let changes = Changes {
        full_name: Some(" Ada Lovelace ".into()),
        time_zone: Some("Europe/London".into()),
        role: Some("admin".into()),
        ..Changes::default()
    };
    let changed = update_me(&school.auth, &caller, changes).await.unwrap();
    assert_eq!(
        (
            changed.full_name.as_str(),
            changed.time_zone.as_str(),
            changed.role.as_str()
        ),
        ("Ada Lovelace", "Europe/London", "student")
    );
    assert_eq!(changed.version, ada.version + 1);
    assert_eq!(school.events::<UserUpdated>().await[0].full_name, "Ada Lovelace");
    let nowhere = Changes {
        time_zone: Some("Mars/Olympus_Mons".into()),
        ..Changes::default()
    };
    let refused = update_me(&school.auth, &caller, nowhere).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "time_zone");
}

#[tokio::test]
async fn the_last_admin_stays_and_nobody_is_not_found() {
    let school = School::open().await;
    let admin = school.user("boss@school.test", "admin").await;
    let steps_back = Changes {
        role: Some("student".into()),
        ..Changes::default()
    };
    let refused = update_user(&school.auth, &Reach::SYSTEM, admin.id, steps_back.clone()).await;
    assert_eq!(refused.unwrap_err().code(), &codes::LAST_ADMIN);
    let nobody = update_user(
        &school.auth,
        &Reach::SYSTEM,
        UserId::new(school.clock.now()),
        steps_back,
    )
    .await;
    assert_eq!(nobody.unwrap_err().code(), &codes::NOT_FOUND);
}

#[tokio::test]
async fn users_are_found_by_any_spelling_and_listed_in_pages() {
    let school = School::open().await;
    let isil = create_user(
        &school.auth,
        &Reach::SYSTEM,
        invitation("isil@school.test", "teacher"),
    )
    .await
    .unwrap();
    for n in 0..5 {
        school.clock.advance(Duration::from_secs(1));
        school.register(&format!("ada{n}@school.test")).await;
    }
    for spelling in ["işıl", "IŞIL", "isil", "Işıl Ş", "ISIL@SCHOOL"] {
        let filter = UserFilter {
            search: Some(spelling),
            ..UserFilter::default()
        };
        let page = list_users(&school.auth, &Reach::SYSTEM, filter, FIRST_PAGE)
            .await
            .unwrap();
        assert_eq!(
            page.items.iter().map(|user| user.id).collect::<Vec<_>>(),
            [isil.id],
            "{spelling}"
        );
    }
    for literal in ["%", "_", "\\"] {
        let filter = UserFilter {
            search: Some(literal),
            ..UserFilter::default()
        };
        let page = list_users(&school.auth, &Reach::SYSTEM, filter, FIRST_PAGE)
            .await
            .unwrap();
        assert!(page.items.is_empty(), "{literal}");
    }
    let students = UserFilter {
        role: Some("student"),
        ..UserFilter::default()
    };
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let paging = Paging {
            size: 2,
            token: token.as_deref(),
        };
        let page = list_users(&school.auth, &Reach::SYSTEM, students, paging)
            .await
            .unwrap();
        seen.extend(page.items.into_iter().map(|user| user.email));
        if page.next_page_token.is_empty() {
            break;
        }
        token = Some(page.next_page_token);
    }
    let expected: Vec<_> = (0..5).rev().map(|n| format!("ada{n}@school.test")).collect();
    assert_eq!(seen, expected);
    let paging = Paging {
        size: 2,
        token: token.as_deref(),
    };
    let foreign = list_users(&school.auth, &Reach::SYSTEM, UserFilter::default(), paging).await;
    assert_eq!(foreign.unwrap_err().code(), &codes::INVALID_PAGE_TOKEN);

    let gone = Changes {
        is_active: Some(false),
        ..Changes::default()
    };
    update_user(&school.auth, &Reach::SYSTEM, isil.id, gone)
        .await
        .unwrap();
    for (is_active, expected) in [(Some(true), 5), (Some(false), 1), (None, 6)] {
        let filter = UserFilter {
            is_active,
            ..UserFilter::default()
        };
        let page = list_users(&school.auth, &Reach::SYSTEM, filter, FIRST_PAGE)
            .await
            .unwrap();
        assert_eq!(page.items.len(), expected, "{is_active:?}");
    }
}

#[tokio::test]
async fn other_processes_get_users_revocations_and_tokens() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let ids = [ada.id, UserId::new(school.clock.now())];
    assert_eq!(users_by_id(&school.auth, &ids).await.unwrap(), [ada]);

    let (none, as_of) = list_revocations(&school.auth, None).await.unwrap();
    assert!(none.is_empty());
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    logout(&school.auth, &caller).await.unwrap();
    let (entries, _) = list_revocations(&school.auth, Some(as_of)).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].subject, caller.user().unwrap().session_id.to_string());

    let (token, seconds) =
        issue_service_token(&school.auth, "catalog", "the secret of the catalogue", "auth").unwrap();
    assert_eq!(seconds, 600);
    assert!(matches!(
        school.verify(&token).await.unwrap(),
        access_token::Caller::Service(name) if &*name == "catalog"
    ));
    for (service, secret) in [
        ("catalog", "nonsense"),
        ("wizard", ""),
        ("wizard", "the secret of the catalogue"),
    ] {
        let refused = issue_service_token(&school.auth, service, secret, "auth");
        assert_eq!(refused.unwrap_err().code(), &codes::INVALID_CREDENTIALS);
    }
    // It has no business there: nothing of theirs lets it call.
    for called in ["exam", "catalog", "gateway", "", "*"] {
        let refused = issue_service_token(&school.auth, "catalog", "the secret of the catalogue", called);
        assert_eq!(refused.unwrap_err().code(), &codes::PERMISSION_DENIED, "{called}");
    }
}

#[tokio::test]
async fn accounts_are_found_by_any_spelling_of_their_addresses() {
    let school = School::open().await;
    let ali = school.register("Ali@School.test").await;
    let asked = ["ALİ@SCHOOL.TEST", "nobody@school.test", "alı@school.test"].map(str::to_owned);
    let found = users_by_email(&school.auth, asked.to_vec()).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|(asked, user)| (asked, user.id)).collect();
    assert_eq!(found, [(asked[0].clone(), ali.id), (asked[2].clone(), ali.id)]);
}
