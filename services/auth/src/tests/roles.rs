use std::time::Duration;

use access_token::permissions;
use problem::codes;

use super::school::{FIRST_PAGE, School};
use crate::storage::roles::Role;
use crate::usecases::paging::Paging;
use crate::usecases::put_role::{list_roles, put_role};
use crate::usecases::reach::Reach;
use crate::usecases::refresh::refresh;

fn role(name: &str, permissions: &[&str]) -> Role {
    Role {
        name: name.into(),
        permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
        require_totp: false,
        department_scoped: false,
    }
}

#[tokio::test]
async fn a_new_installation_has_three_roles() {
    let school = School::open().await;
    for found in list_roles(&school.auth, FIRST_PAGE).await.unwrap().items {
        assert_eq!(found.permissions, permissions::defaults(&found.name));
    }
    let edited = role("teacher", &["courses:write"]);
    put_role(&school.auth, &Reach::SYSTEM, edited.clone())
        .await
        .unwrap();
    school.auth.ensure_roles().await.unwrap();
    assert!(
        list_roles(&school.auth, FIRST_PAGE)
            .await
            .unwrap()
            .items
            .contains(&edited)
    );
}

#[tokio::test]
async fn a_changed_role_renews_the_tokens_of_its_holders_alone() {
    let school = School::open().await;
    school.user("ada@school.test", "student").await;
    school.user("deniz@school.test", "teacher").await;
    let (ada, deniz) = (
        school.sign_in("ada@school.test").await,
        school.sign_in("deniz@school.test").await,
    );
    school.clock.advance(Duration::from_secs(1));
    let revocations = "SELECT count(*) FROM auth.revocations WHERE expires_at > now() AND kind = 'user'";
    let before = school.count(revocations).await;
    let wanted = role("teacher", &["courses:write", "categories:write"]);
    for _ in 0..2 {
        put_role(&school.auth, &Reach::SYSTEM, wanted.clone())
            .await
            .unwrap();
    }
    assert!(School::is_revoked(&school.verify(&deniz.access_token).await));
    school.verify(&ada.access_token).await.unwrap();
    let renewed = refresh(&school.auth, deniz.refresh_token).await.unwrap();
    assert_eq!(
        school.caller(&renewed).await.user().unwrap().permissions[..],
        wanted.permissions[..]
    );
    // The same again is no change: what was just renewed stays good.
    school.clock.advance(Duration::from_secs(1));
    put_role(&school.auth, &Reach::SYSTEM, wanted).await.unwrap();
    school.verify(&renewed.access_token).await.unwrap();
    assert!(school.count(revocations).await <= before + 1);
}

#[tokio::test]
async fn who_holds_no_live_token_needs_no_revocation() {
    let school = School::open().await;
    school.user("deniz@school.test", "teacher").await;
    school.sign_in("deniz@school.test").await;
    school.clock.advance(Duration::from_hours(1));
    sqlx::query("DELETE FROM auth.revocations")
        .execute(school.auth.db.primary())
        .await
        .unwrap();
    put_role(&school.auth, &Reach::SYSTEM, role("teacher", &["courses:write"]))
        .await
        .unwrap();
    assert_eq!(school.count("SELECT count(*) FROM auth.revocations").await, 0);
}

#[tokio::test]
async fn unknown_permissions_are_refused_and_admins_keep_editing_roles() {
    let school = School::open().await;
    let refused = put_role(&school.auth, &Reach::SYSTEM, role("teacher", &["courses:eat"])).await;
    assert_eq!(refused.unwrap_err().code(), &codes::UNKNOWN_PERMISSION);
    let (admin, _) = put_role(&school.auth, &Reach::SYSTEM, role("admin", &[]))
        .await
        .unwrap();
    assert_eq!(admin.permissions, ["roles:read", "roles:write"]);
    put_role(
        &school.auth,
        &Reach::SYSTEM,
        role("librarian", &["categories:write"]),
    )
    .await
    .unwrap();
    assert_eq!(list_roles(&school.auth, FIRST_PAGE).await.unwrap().items.len(), 4);
}

#[tokio::test]
async fn a_new_role_is_told_from_a_changed_one_and_lists_come_in_pages() {
    let school = School::open().await;
    for (name, expected) in [("assistant", true), ("assistant", false), ("teacher", false)] {
        let wanted = role(name, &["courses:write"]);
        let (_, is_new) = put_role(&school.auth, &Reach::SYSTEM, wanted).await.unwrap();
        assert_eq!(is_new, expected, "{name}");
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let paging = Paging {
            size: 3,
            token: Some(&token),
        };
        let page = list_roles(&school.auth, paging).await.unwrap();
        seen.extend(page.items.into_iter().map(|role| role.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["admin", "assistant", "student", "teacher"]);
    let tampered = Paging {
        size: 3,
        token: Some("AAAA"),
    };
    let refused = list_roles(&school.auth, tampered).await.unwrap_err();
    assert_eq!(refused.code(), &codes::INVALID_PAGE_TOKEN);
}
