//! Managing the accounts of others: nobody gives, takes or becomes what they lack.

use std::time::Duration;

use access_token::{Caller, permissions};
use typed_id::{SessionId, UserId};

use super::accounts::invitation;
use super::hardening::code_of;
use super::school::{ENCRYPTION_KEY, FIRST_PAGE, School, settings, sign_in};
use crate::storage::roles::Role;
use crate::storage::users::Changes;
use crate::usecases::create_user::create_user;
use crate::usecases::impersonate::impersonate;
use crate::usecases::login::login;
use crate::usecases::put_role::{list_roles, put_role};
use crate::usecases::reach::Reach;
use crate::usecases::refresh::refresh;
use crate::usecases::sessions::list_sessions;
use crate::usecases::update_user::update_user;
use crate::usecases::user_sessions::{end_of_user, list_of_user, remove_factor};
use crate::usecases::{second_factor, service_accounts};

const MORE: Option<&str> = Some("more_than_yours");

impl School {
    /// Somebody with a role of these permissions, signed in.
    pub async fn holder(&self, role: &str, permissions: &[&str], department_scoped: bool) -> Caller {
        let role = role_of(role, permissions, department_scoped);
        let name = role.name.clone();
        put_role(&self.auth, &Reach::SYSTEM, role).await.unwrap();
        let address = format!("{name}@school.test");
        self.user(&address, &name).await;
        self.caller(&self.sign_in(&address).await).await
    }

    pub async fn reach(&self, caller: &Caller) -> Reach {
        Reach::of(&self.auth, caller).await.unwrap()
    }

    pub async fn change(&self, by: &Caller, id: UserId, changes: Changes) -> Option<&'static str> {
        code_of(update_user(&self.auth, &self.reach(by).await, id, changes).await)
    }
}

pub fn role_of(name: &str, permissions: &[&str], department_scoped: bool) -> Role {
    Role {
        name: name.into(),
        permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
        require_totp: false,
        department_scoped,
    }
}

fn to_role(role: &str) -> Changes {
    Changes {
        role: Some(role.to_owned()),
        ..Changes::default()
    }
}

fn renamed() -> Changes {
    Changes {
        full_name: Some("Another".into()),
        ..Changes::default()
    }
}

fn active(is_active: bool) -> Changes {
    Changes {
        is_active: Some(is_active),
        ..Changes::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_users_gives_and_takes_no_more_than_they_have() {
    let school = School::open().await;
    let (root, ada, deniz) = (
        school.user("root@school.test", "admin").await,
        school.user("ada@school.test", "student").await,
        school.user("deniz@school.test", "teacher").await,
    );
    let registrar = school
        .holder("registrar", &["users:read", "users:write"], false)
        .await;
    let reach = school.reach(&registrar).await;
    for (role, expected) in [
        ("admin", MORE),
        ("teacher", MORE),
        ("student", None),
        ("registrar", None),
    ] {
        let address = format!("new-{role}@school.test");
        let made = create_user(&school.auth, &reach, invitation(&address, role)).await;
        assert_eq!(code_of(made), expected, "made {role}");
        assert_eq!(
            school.change(&registrar, ada.id, to_role(role)).await,
            expected,
            "{role}"
        );
    }
    // Whoever has more is not touched at all.
    for target in [root.id, deniz.id] {
        for changes in [to_role("student"), active(false), renamed()] {
            assert_eq!(school.change(&registrar, target, changes).await, MORE);
        }
        assert_eq!(
            code_of(end_of_user(&school.auth, &reach, target, None).await),
            MORE
        );
        assert_eq!(
            code_of(list_of_user(&school.auth, &reach, target, FIRST_PAGE).await),
            MORE
        );
        assert_eq!(
            code_of(remove_factor(&school.auth, &registrar, target).await),
            MORE
        );
    }
    let clerk = role_of("clerk", &["users:write"], false);
    put_role(&school.auth, &Reach::SYSTEM, clerk).await.unwrap();
    assert_eq!(school.change(&registrar, ada.id, to_role("clerk")).await, None);
    // A role that lost a permission has lost it at once, whatever the token says.
    let weaker = role_of("registrar", &["users:read"], false);
    put_role(&school.auth, &Reach::SYSTEM, weaker).await.unwrap();
    assert_eq!(school.change(&registrar, ada.id, renamed()).await, MORE);
    // A program has what it was given, not what its maker could give it.
    let admin = school.caller(&school.sign_in("root@school.test").await).await;
    let wanted = vec![permissions::USERS_WRITE.to_owned()];
    let (account, secret) = service_accounts::create(&school.auth, &admin, "sync".into(), wanted, 30)
        .await
        .unwrap();
    let (token, _) = service_accounts::issue_token(&school.auth, account.id, &secret)
        .await
        .unwrap();
    let program = school.verify(&token).await.unwrap();
    assert_eq!(school.change(&program, ada.id, to_role("teacher")).await, MORE);
    assert_eq!(school.change(&program, ada.id, renamed()).await, None);
    assert_eq!(school.change(&admin, ada.id, to_role("registrar")).await, None);
    // It was given no `users:read`, which a registrar has.
    assert_eq!(school.change(&program, ada.id, renamed()).await, MORE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_roles_gives_and_takes_no_more_than_they_have() {
    let school = School::open().await;
    school.user("root@school.test", "admin").await;
    let editor = school
        .holder("editor", &["roles:read", "roles:write", "courses:write"], false)
        .await;
    let reach = school.reach(&editor).await;
    for (role, expected) in [
        (role_of("helper", &["users:write"], false), MORE),
        (role_of("editor", &["roles:write", "audit:read"], false), MORE),
        (role_of("admin", permissions::defaults("admin"), false), MORE),
        // Nor may they take from others what they could not give back.
        (role_of("teacher", &["courses:write"], false), MORE),
        (
            role_of("helper", &["courses:write", "enrollments:enroll"], false),
            None,
        ),
        (role_of("student", &["enrollments:enroll"], false), None),
    ] {
        let put = put_role(&school.auth, &reach, role.clone()).await;
        assert_eq!(code_of(put), expected, "{role:?}");
    }
    // An admin who lost a permission gives it back to themselves: nothing is lost for good.
    let root = school.caller(&school.sign_in("root@school.test").await).await;
    let reach = school.reach(&root).await;
    for permissions in [&["roles:write"][..], permissions::defaults("admin")] {
        put_role(&school.auth, &reach, role_of("admin", permissions, false))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_what_they_lack() {
    let school = School::open().await;
    let (ada, deniz) = (
        school.user("ada@school.test", "student").await,
        school.user("deniz@school.test", "teacher").await,
    );
    let root = school.user("root@school.test", "admin").await;
    let helper = school.holder("helper", &["users:impersonate"], false).await;
    for (target, expected) in [(ada.id, None), (deniz.id, MORE), (root.id, MORE)] {
        let acting = impersonate(&school.auth, &helper, target, "a ticket").await;
        assert_eq!(code_of(acting), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_and_ends_sessions_and_takes_a_lost_factor_away() {
    let school = School::open().await;
    let (root, ada) = (
        school.user("root@school.test", "admin").await,
        school.user("ada@school.test", "student").await,
    );
    let admin = school.caller(&school.sign_in("root@school.test").await).await;
    let reach = school.reach(&admin).await;
    let (first, second) = (
        school.sign_in("ada@school.test").await,
        school.sign_in("ada@school.test").await,
    );
    let caller = school.caller(&first).await;
    let seen = list_of_user(&school.auth, &reach, ada.id, FIRST_PAGE)
        .await
        .unwrap();
    let own = list_sessions(&school.auth, &caller, FIRST_PAGE).await.unwrap();
    assert_eq!(seen.items, own.items);
    let one = caller.user().unwrap().session_id;
    for _ in 0..2 {
        end_of_user(&school.auth, &reach, ada.id, Some(one))
            .await
            .unwrap();
    }
    assert!(School::is_revoked(&school.verify(&first.access_token).await));
    school.verify(&second.access_token).await.unwrap();
    let unknown = SessionId::new(school.clock.now());
    let refused = end_of_user(&school.auth, &reach, ada.id, Some(unknown)).await;
    assert_eq!(code_of(refused), Some("not_found"));
    end_of_user(&school.auth, &reach, ada.id, None).await.unwrap();
    assert!(refresh(&school.auth, second.refresh_token).await.is_err());

    let tokens = school.sign_in("ada@school.test").await;
    let caller = school.caller(&tokens).await;
    let (secret, _) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    let code = school.code(&School::app(&secret));
    second_factor::confirm(&school.auth, &caller, &code)
        .await
        .unwrap();
    let asked = login(&school.auth, sign_in("ada@school.test", super::school::PASSWORD)).await;
    assert_eq!(code_of(asked), Some("totp_required"));
    let own = remove_factor(&school.auth, &admin, root.id).await;
    assert_eq!(code_of(own), Some("permission_denied"));
    remove_factor(&school.auth, &admin, ada.id).await.unwrap();
    assert!(
        refresh(&school.auth, tokens.refresh_token).await.is_err(),
        "who has the device is out"
    );
    school.sign_in("ada@school.test").await;
    // The same again is no act.
    remove_factor(&school.auth, &admin, ada.id).await.unwrap();
    let actions = school.actions(&ada.id.to_string()).await;
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!(
        (count("session.ended"), count("totp.removed")),
        (2, 1),
        "{actions:?}"
    );
    school.clock.advance(Duration::from_mins(16));
    let stale = remove_factor(&school.auth, &admin, ada.id).await;
    assert_eq!(code_of(stale), Some("sign_in_again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_rests_with_its_maker_and_loses_what_they_lose() {
    let school = School::open().await;
    school.user("root@school.test", "admin").await;
    let maker = school.user("maker@school.test", "admin").await;
    let caller = school.caller(&school.sign_in("maker@school.test").await).await;
    let wanted = [permissions::USERS_READ, permissions::COURSES_WRITE].map(str::to_owned);
    let (account, secret) =
        service_accounts::create(&school.auth, &caller, "registrar".into(), wanted.to_vec(), 365)
            .await
            .unwrap();
    let issue = || service_accounts::issue_token(&school.auth, account.id, &secret);
    let granted = async || {
        let (token, _) = issue().await.unwrap();
        school.clock.advance(Duration::from_secs(1));
        (
            token.clone(),
            school
                .verify(&token)
                .await
                .unwrap()
                .user()
                .unwrap()
                .permissions
                .to_vec(),
        )
    };
    let (first, permissions) = granted().await;
    assert_eq!(permissions, wanted);
    update_user(&school.auth, &Reach::SYSTEM, maker.id, to_role("teacher"))
        .await
        .unwrap();
    assert!(School::is_revoked(&school.verify(&first).await));
    let (second, permissions) = granted().await;
    assert_eq!(permissions, [permissions::COURSES_WRITE]);
    put_role(&school.auth, &Reach::SYSTEM, role_of("teacher", &[], false))
        .await
        .unwrap();
    assert!(School::is_revoked(&school.verify(&second).await));
    let (third, permissions) = granted().await;
    assert!(permissions.is_empty());
    update_user(&school.auth, &Reach::SYSTEM, maker.id, active(false))
        .await
        .unwrap();
    assert!(School::is_revoked(&school.verify(&third).await));
    assert_eq!(code_of(issue().await), Some("invalid_credentials"));
    // Who comes back brings their programs back.
    let back = Changes {
        is_active: Some(true),
        ..to_role("admin")
    };
    update_user(&school.auth, &Reach::SYSTEM, maker.id, back)
        .await
        .unwrap();
    assert_eq!(granted().await.1, wanted);
    let actions = school.actions(&account.id.to_string()).await;
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!(count("service_account.token_issued"), 4);
    assert_eq!(count("service_account.refused"), 1);
}

#[tokio::test]
async fn a_factor_is_turned_on_in_a_fresh_session_alone() {
    let school = School::open().await;
    school.register("ada@school.test").await;
    let caller = school.caller(&school.sign_in("ada@school.test").await).await;
    school.clock.advance(Duration::from_mins(15));
    let stale = second_factor::enroll(&school.auth, &caller).await;
    assert_eq!(code_of(stale), Some("sign_in_again"));
}

#[tokio::test]
async fn reuse_of_a_refresh_token_is_on_record() {
    let school = School::open().await;
    let ada = school.register("ada@school.test").await;
    let first = school.sign_in("ada@school.test").await.refresh_token;
    let second = refresh(&school.auth, first.clone()).await.unwrap().refresh_token;
    refresh(&school.auth, second).await.unwrap();
    assert!(refresh(&school.auth, first).await.is_err());
    let actions = school.actions(&ada.id.to_string()).await;
    let reused = actions.iter().filter(|action| *action == "refresh_token.reused");
    assert_eq!(reused.count(), 1, "{actions:?}");
}

#[tokio::test]
async fn admins_of_a_new_installation_need_a_factor_where_that_is_wanted() {
    let mut wanted = settings(ENCRYPTION_KEY);
    wanted.admins_need_second_factor = true;
    let school = School::open_with(test_support::fixed_clock(), wanted).await;
    let roles = list_roles(&school.auth, FIRST_PAGE).await.unwrap().items;
    let demanding: Vec<_> = roles.iter().filter(|role| role.require_totp).collect();
    assert_eq!(demanding.len(), 1);
    assert_eq!(demanding[0].name, "admin");
    school.user("root@school.test", "admin").await;
    let root = school.caller(&school.sign_in("root@school.test").await).await;
    assert!(!root.has(permissions::USERS_WRITE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_a_program_is_answered_for_by_the_person_behind_both() {
    let school = School::open().await;
    school.user("root@school.test", "admin").await;
    let maker = school.user("maker@school.test", "admin").await;
    let caller = school.caller(&school.sign_in("maker@school.test").await).await;
    let create = async |by: &Caller, wanted: &[&str]| {
        let wanted = wanted.iter().map(|p| (*p).to_owned()).collect();
        service_accounts::create(&school.auth, by, "a program".into(), wanted, 30)
            .await
            .unwrap()
    };
    let wanted = [permissions::INTEGRATIONS_MANAGE, permissions::USERS_READ];
    let (outer, secret) = create(&caller, &wanted).await;
    let (token, _) = service_accounts::issue_token(&school.auth, outer.id, &secret)
        .await
        .unwrap();
    let program = school.verify(&token).await.unwrap();
    let (inner, secret) = create(&program, &[permissions::USERS_READ]).await;
    let issue = || service_accounts::issue_token(&school.auth, inner.id, &secret);
    issue().await.unwrap();
    update_user(&school.auth, &Reach::SYSTEM, maker.id, active(false))
        .await
        .unwrap();
    assert_eq!(code_of(issue().await), Some("invalid_credentials"));
}
