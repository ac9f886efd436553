//! What happens at the same moment: whoever comes second sees what the first did.

use clock::Clock;
use futures::future::{join, join_all};

use super::school::{PASSWORD, School, sign_in};
use crate::storage::roles::Role;
use crate::storage::users::Changes;
use crate::usecases::confirm_password_reset::confirm_password_reset;
use crate::usecases::login::login;
use crate::usecases::put_role::put_role;
use crate::usecases::reach::Reach;
use crate::usecases::refresh::refresh;
use crate::usecases::request_password_reset::request_password_reset;
use crate::usecases::update_user::update_user;

fn role(name: &str) -> Changes {
    Changes {
        role: Some(name.to_owned()),
        ..Changes::default()
    }
}

/// Whatever tokens were renewed while a role changed, none that is still good carries the old one.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_outlives_a_change_of_its_role() {
    let school = School::open_at(Clock::system()).await;
    let ada = school.user("ada@school.test", "teacher").await;
    let mut refresh_token = school.sign_in("ada@school.test").await.refresh_token;
    for round in 0..20 {
        let new = if round % 2 == 0 { "student" } else { "teacher" };
        let renewals = (0..6).map(|_| refresh(&school.auth, refresh_token.clone()));
        let (renewed, changed) = join(
            join_all(renewals),
            update_user(&school.auth, &Reach::SYSTEM, ada.id, role(new)),
        )
        .await;
        changed.unwrap();
        for tokens in renewed.into_iter().map(Result::unwrap) {
            if let Ok(caller) = school.verify(&tokens.access_token).await {
                assert_eq!(caller.user().unwrap().roles, [new], "round {round}");
            }
            refresh_token = tokens.refresh_token;
        }
    }
}

/// The same for the permissions of the role.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_outlives_a_change_of_its_permissions() {
    let school = School::open_at(Clock::system()).await;
    school.user("ada@school.test", "teacher").await;
    let mut refresh_token = school.sign_in("ada@school.test").await.refresh_token;
    for round in 0..20 {
        let permissions = if round % 2 == 0 {
            vec!["courses:write".to_owned()]
        } else {
            vec!["enrollments:manage".to_owned()]
        };
        let wanted = Role {
            name: "teacher".into(),
            permissions: permissions.clone(),
            require_totp: false,
            department_scoped: false,
        };
        let renewals = (0..6).map(|_| refresh(&school.auth, refresh_token.clone()));
        let (renewed, changed) =
            join(join_all(renewals), put_role(&school.auth, &Reach::SYSTEM, wanted)).await;
        changed.unwrap();
        for tokens in renewed.into_iter().map(Result::unwrap) {
            if let Ok(caller) = school.verify(&tokens.access_token).await {
                assert_eq!(
                    caller.user().unwrap().permissions[..],
                    permissions[..],
                    "round {round}"
                );
            }
            refresh_token = tokens.refresh_token;
        }
    }
}

/// Who signs in with the old password while it is reset does not stay signed in.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_of_the_old_password_outlives_its_reset() {
    let school = School::open_at(Clock::system()).await;
    let ada = school.user("ada@school.test", "student").await;
    let mut current = PASSWORD.to_owned();
    for round in 0..5 {
        let new = format!("the secret of round {round}");
        request_password_reset(&school.auth, "ada@school.test")
            .await
            .unwrap();
        let token = school.reset(&ada).await;
        let thieves = (0..6).map(|_| login(&school.auth, sign_in("ada@school.test", &current)));
        let (thieves, confirmed) = join(
            join_all(thieves),
            confirm_password_reset(&school.auth, token, &new),
        )
        .await;
        confirmed.unwrap();
        for tokens in thieves.into_iter().flatten() {
            assert!(
                refresh(&school.auth, tokens.refresh_token).await.is_err(),
                "round {round}"
            );
        }
        current = new;
        login(&school.auth, sign_in("ada@school.test", &current))
            .await
            .unwrap();
    }
}

/// Two admins who step back at once: one has to stay.
#[tokio::test(flavor = "multi_thread")]
async fn admins_who_step_back_at_once_leave_one() {
    let school = School::open_at(Clock::system()).await;
    let (ada, can) = (
        school.user("ada@school.test", "admin").await,
        school.user("can@school.test", "admin").await,
    );
    for _ in 0..10 {
        let system = Reach::SYSTEM;
        let back = [ada.id, can.id].map(|id| update_user(&school.auth, &system, id, role("student")));
        let outcomes = join_all(back).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for id in [ada.id, can.id] {
            update_user(&school.auth, &Reach::SYSTEM, id, role("admin"))
                .await
                .unwrap();
        }
    }
}
