//! A role of a department ends at its department.

use access_token::Caller;
use contracts::auth::v1::{CreateUserRequest, ImportUsersRequest};
use serde_json::Value;
use typed_id::UserId;

use super::accounts::invitation;
use super::hardening::code_of;
use super::managing::role_of;
use super::school::{FIRST_PAGE, School};
use crate::storage::users::{Changes, User};
use crate::usecases::create_user::create_user;
use crate::usecases::impersonate::impersonate;
use crate::usecases::import_users::import_users;
use crate::usecases::list_departments::list_departments;
use crate::usecases::list_users::{UserFilter, list_users};
use crate::usecases::operations::{operation, result, work_once};
use crate::usecases::paging::Paging;
use crate::usecases::put_role::put_role;
use crate::usecases::reach::Reach;
use crate::usecases::update_user::update_user;
use crate::usecases::user_sessions::{end_of_user, list_of_user, remove_factor};
use crate::usecases::user_within;

const HEAD: &[&str] = &["users:read", "users:write", "users:impersonate"];

fn moved(department: &str) -> Changes {
    Changes {
        department: Some(department.to_owned()),
        ..Changes::default()
    }
}

impl School {
    /// A student of a department.
    async fn student_of(&self, email: &str, department: &str) -> User {
        let request = CreateUserRequest {
            department: Some(department.into()),
            ..invitation(email, "student")
        };
        create_user(&self.auth, &Reach::SYSTEM, request).await.unwrap()
    }

    /// The head of a department, signed in.
    async fn head_of(&self, department: &str) -> Caller {
        let head = self.holder("head", HEAD, true).await;
        self.place(head.user().unwrap().id, department).await;
        head
    }

    async fn place(&self, id: UserId, department: &str) {
        update_user(&self.auth, &Reach::SYSTEM, id, moved(department))
            .await
            .unwrap();
    }

    async fn seen(&self, by: &Caller, department: Option<&str>) -> Vec<String> {
        let reach = self.reach(by).await;
        let filter = UserFilter {
            department,
            ..UserFilter::default()
        };
        let page = list_users(&self.auth, &reach, filter, FIRST_PAGE).await.unwrap();
        let mut seen: Vec<String> = page.items.into_iter().map(|user| user.email).collect();
        seen.sort();
        seen
    }

    async fn import_as(&self, by: &Caller, text: &str) -> (uuid::Uuid, Value) {
        let request = ImportUsersRequest {
            content: text.into(),
            ..ImportUsersRequest::default()
        };
        let begun = import_users(&self.auth, by, request).await.unwrap();
        assert!(work_once(&self.auth).await.unwrap());
        let report = result(&self.auth, by, begun.id, 0).await.unwrap();
        (begun.id, serde_json::from_slice(&report.content).unwrap())
    }
}

/// Who it is about, and what the head of physics is told for each thing that can be done to them.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_reaches_the_users_of_their_department_alone() {
    let school = School::open().await;
    let head = school.head_of("Fizik").await;
    let own = school.student_of("own@school.test", "Fizik").await;
    let other = school.student_of("other@school.test", "Kimya").await;
    let alike = school.student_of("alike@school.test", "Fizik ve Kimya").await;
    let nowhere = school.user("nowhere@school.test", "student").await;
    let reach = school.reach(&head).await;
    for (target, expected) in [
        (own.id, None),
        (other.id, Some("not_found")),
        (alike.id, Some("not_found")),
        (nowhere.id, Some("not_found")),
    ] {
        let renamed = Changes {
            full_name: Some("Another".into()),
            ..Changes::default()
        };
        let outcomes = [
            code_of(user_within(&school.auth, &reach, target).await),
            code_of(update_user(&school.auth, &reach, target, renamed).await),
            code_of(list_of_user(&school.auth, &reach, target, FIRST_PAGE).await),
            code_of(end_of_user(&school.auth, &reach, target, None).await),
            code_of(remove_factor(&school.auth, &head, target).await),
            code_of(impersonate(&school.auth, &head, target, "a ticket").await),
        ];
        assert_eq!(outcomes, [expected; 6]);
    }
    assert_eq!(
        school.seen(&head, None).await,
        ["head@school.test", "own@school.test"]
    );
    assert_eq!(school.seen(&head, Some("Fizik")).await.len(), 2);
    assert!(school.seen(&head, Some("Kimya")).await.is_empty());
    assert!(school.seen(&head, Some("")).await.is_empty());
    // Neither in nor out.
    let refused = Some("other_department");
    assert_eq!(school.change(&head, own.id, moved("Kimya")).await, refused);
    assert_eq!(school.change(&head, own.id, moved("")).await, refused);
    assert_eq!(school.change(&head, own.id, moved(" Fizik ")).await, None);
    assert_eq!(
        school
            .change(&head, head.user().unwrap().id, moved("Kimya"))
            .await,
        refused
    );
    for (department, expected) in [(Some("Kimya"), refused), (Some("Fizik"), None), (None, None)] {
        let request = CreateUserRequest {
            department: department.map(str::to_owned),
            ..invitation(
                &format!("made-{department:?}@school.test").replace(['(', ')', '"'], ""),
                "student",
            )
        };
        let made = create_user(&school.auth, &reach, request).await;
        assert!(made.as_ref().is_ok_and(|user| user.department == "Fizik") || expected.is_some());
        assert_eq!(code_of(made), expected, "{department:?}");
    }
    // A role over everybody is more than a role over one department.
    put_role(
        &school.auth,
        &Reach::SYSTEM,
        role_of("viewer", &["users:read"], false),
    )
    .await
    .unwrap();
    for (role, expected) in [("viewer", Some("more_than_yours")), ("head", None)] {
        let given = Changes {
            role: Some(role.into()),
            ..Changes::default()
        };
        assert_eq!(school.change(&head, own.id, given).await, expected, "{role}");
    }
    // It holds at once when the head moves, and whoever belongs nowhere reaches nobody.
    school.place(head.user().unwrap().id, "Kimya").await;
    assert_eq!(
        school.seen(&head, None).await,
        ["head@school.test", "other@school.test"]
    );
    school.place(head.user().unwrap().id, "").await;
    assert!(school.seen(&head, None).await.is_empty());
    let nobody = user_within(&school.auth, &school.reach(&head).await, nowhere.id).await;
    assert_eq!(code_of(nobody), Some("not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_head_reaches_no_further() {
    let school = School::open().await;
    let root = school.user("root@school.test", "admin").await;
    let head = school.head_of("Fizik").await;
    school.student_of("own@school.test", "Fizik").await;
    school.student_of("other@school.test", "Kimya").await;
    let (id, report) = school
        .import_as(
            &head,
            "email,full_name,role,department\n\
             own@school.test,Renamed,student,\n\
             other@school.test,Renamed,student,\n\
             new@school.test,New,student,\n\
             far@school.test,Far,student,Kimya\n\
             boss@school.test,Boss,teacher,\n\
             root@school.test,Renamed,student,\n",
        )
        .await;
    let told: Vec<(&str, &str)> = report["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["outcome"].as_str().unwrap(), line["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("updated", ""),
            ("refused", "email.other_department"),
            ("created", ""),
            ("refused", "department.other"),
            ("refused", "role.beyond"),
            ("refused", "email.other_department"),
        ]
    );
    assert_eq!(
        school.seen(&head, None).await,
        ["head@school.test", "new@school.test", "own@school.test"]
    );
    assert_eq!(school.stored(root.id).await.full_name, "Ada Yılmaz");
    // A report of somebody else's file names people of every department.
    let admin = school.caller(&school.sign_in("root@school.test").await).await;
    operation(&school.auth, &admin, id).await.unwrap();
    let (foreign, _) = school
        .import_as(&admin, "email,full_name\nx@school.test,X\n")
        .await;
    assert_eq!(
        code_of(operation(&school.auth, &head, foreign).await),
        Some("not_found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_a_department_has_nothing_that_knows_none() {
    let school = School::open().await;
    for permission in access_token::permissions::UNBOUNDED {
        let put = put_role(&school.auth, &Reach::SYSTEM, role_of("head", &[permission], true)).await;
        assert_eq!(code_of(put), Some("not_for_a_department"), "{permission}");
    }
    let admin = put_role(
        &school.auth,
        &Reach::SYSTEM,
        role_of("admin", &["users:read"], true),
    )
    .await;
    assert_eq!(code_of(admin), Some("not_for_a_department"));
}

#[tokio::test(flavor = "multi_thread")]
async fn departments_are_listed_as_far_as_one_reaches() {
    let school = School::open().await;
    school.user("root@school.test", "admin").await;
    let admin = school.caller(&school.sign_in("root@school.test").await).await;
    let names = async |by: &Caller| {
        let reach = school.reach(by).await;
        let found = list_departments(&school.auth, &reach, FIRST_PAGE).await.unwrap();
        found
            .items
            .into_iter()
            .map(|department| (department.name, department.users))
            .collect::<Vec<_>>()
    };
    assert!(names(&admin).await.is_empty());
    school.student_of("own@school.test", "Fizik").await;
    school.student_of("too@school.test", "Fizik").await;
    school.student_of("other@school.test", "Kimya").await;
    let head = school.head_of("Fizik").await;
    let (fizik, kimya) = (("Fizik".to_owned(), 3), ("Kimya".to_owned(), 1));
    assert_eq!(names(&admin).await, [fizik.clone(), kimya]);
    assert_eq!(names(&head).await, [fizik]);
    let reach = school.reach(&admin).await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    for _ in 0..2 {
        let paging = Paging {
            size: 1,
            token: Some(&token),
        };
        let page = list_departments(&school.auth, &reach, paging).await.unwrap();
        seen.extend(page.items.into_iter().map(|department| department.name));
        token = page.next_page_token;
    }
    assert_eq!(
        (seen, token),
        (vec!["Fizik".into(), "Kimya".into()], String::new())
    );
}
