use std::time::Duration;

use futures::future::join_all;
use problem::Problem;
use test_support::{count_queries, fixed_clock};
use typed_id::{EnrollmentId, SectionId};

use super::*;
use crate::storage::enrollments::{self, RosterFilter};
use crate::storage::sections::Section;
use crate::usecases::create_enrollment::create_enrollment;
use crate::usecases::expire_enrollments::expire_enrollments;
use crate::usecases::list_mine::Paging;
use crate::usecases::list_roster::list_roster;
use crate::usecases::sections::{self, Changes};
use crate::usecases::take_seats::{Enrolled, Wish};

impl School {
    async fn section(&self, name: &str, ends_in: Option<i64>, seat_limit: Option<i32>) -> Section {
        let ends_at = ends_in.map(|seconds| self.app.clock.now() + time::Duration::seconds(seconds));
        let changes = Changes {
            name: Some(name.into()),
            term: Some("2026-2027 Güz".into()),
            ends_at: Some(ends_at),
            seat_limit: Some(seat_limit),
            ..Changes::default()
        };
        sections::create(&self.app, &self.teacher, self.course.id, changes)
            .await
            .unwrap()
    }

    async fn students(&self, count: usize) -> Vec<Caller> {
        let people: Vec<User> = self
            .people(count)
            .into_values()
            .map(|user| User {
                email_verified: true,
                ..user
            })
            .collect();
        users::upsert(self.app.db.primary(), &people).await.unwrap();
        let now = self.app.clock.now();
        people.iter().map(|user| caller(user.id, now)).collect()
    }

    async fn enroll(&self, student: &Caller, section: Option<SectionId>) -> Result<Enrolled, Problem> {
        enroll(&self.app, student, self.course.id, section).await
    }

    async fn stored(&self, id: EnrollmentId) -> enrollments::Enrollment {
        enrollments::by_id(self.app.db.primary(), id)
            .await
            .unwrap()
            .unwrap()
    }

    async fn change(&self, id: EnrollmentId, change: Change) -> Result<(), Problem> {
        let changed = change_status(&self.app, &self.teacher, id, change).await;
        changed.map(|_| ())
    }
}

fn code(result: &Result<impl Sized, Problem>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(problem) => problem.code().name,
    }
}

#[tokio::test]
async fn of_several_sections_one_is_chosen_and_their_seats_are_exact() {
    let school = School::open(None).await;
    let students = school.students(40).await;
    let over = school.section("over", Some(-1), None).await;
    assert_eq!(code(&school.enroll(&students[0], None).await), "section_closed");
    let only = school.section("A", None, Some(10)).await;
    let first = school.enroll(&students[0], None).await.unwrap();
    assert_eq!(first.enrollment.section_id, Some(only.id));
    assert_eq!(first.section, Some(("A".into(), "2026-2027 Güz".into())));
    let wide = school.section("B", Some(3_600), None).await;
    assert_eq!(code(&school.enroll(&students[1], None).await), "section_required");
    assert_eq!(
        code(&school.enroll(&students[1], Some(over.id)).await),
        "section_closed"
    );
    let nowhere = SectionId::new(school.app.clock.now());
    assert_eq!(
        code(&school.enroll(&students[1], Some(nowhere)).await),
        "unknown_section"
    );

    // All at once, for nine seats that are left.
    let crowd = join_all(students[1..30].iter().map(|s| school.enroll(s, Some(only.id)))).await;
    let codes: Vec<_> = crowd.iter().map(code).collect();
    assert_eq!(codes.iter().filter(|code| **code == "ok").count(), 9);
    assert!(codes.iter().all(|code| ["ok", "section_full"].contains(code)));
    let second = school.enroll(&students[30], Some(wide.id)).await.unwrap();
    assert_eq!(second.enrollment.expires_at, wide.ends_at);

    // Staff moves students between sections as far as there are seats, and may leave them without.
    let to = |section: &Section| Change {
        section: Some(section.id),
        ..Change::default()
    };
    let id = second.enrollment.id;
    assert_eq!(code(&school.change(id, to(&only)).await), "section_full");
    let dropped = Change {
        status: Some(Status::Dropped),
        ..Change::default()
    };
    school.change(first.enrollment.id, dropped).await.unwrap();
    school.change(id, to(&only)).await.unwrap();
    let moved = school.stored(id).await;
    assert_eq!((moved.section_id, moved.expires_at), (Some(only.id), None));
    let back = Change {
        status: Some(Status::Active),
        ..Change::default()
    };
    assert_eq!(
        code(&school.change(first.enrollment.id, back).await),
        "section_full"
    );
    let student = students[31].user().unwrap().id;
    let wish = Wish {
        is_staff: true,
        ..Wish::default()
    };
    let free = create_enrollment(&school.app, &school.teacher, school.course.id, student, wish).await;
    assert_eq!(free.unwrap().enrollment.section_id, None);

    let paging = Paging { size: 5, token: None };
    let (page, queries) = count_queries(list_roster(
        &school.app,
        &school.teacher,
        school.course.id,
        RosterFilter {
            status: Some(Status::Active),
            section: Some(only.id),
            ..RosterFilter::default()
        },
        None,
        paging,
    ))
    .await;
    let page = page.unwrap();
    assert_eq!(
        (page.enrollments.len(), page.next_page_token.is_empty()),
        (5, false)
    );
    assert!(page.enrollments.iter().all(|one| one.section.is_some()));
    assert!(queries.count() <= 2, "{:?}", queries.0);
    let paging = Paging { size: 2, token: None };
    let (listed, queries) = count_queries(sections::list(
        &school.app,
        &students[0],
        school.course.id,
        paging,
    ))
    .await;
    let (listed, token) = listed.unwrap();
    let told: Vec<_> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.seats_taken))
        .collect();
    assert_eq!(
        (told.as_slice(), token.is_empty()),
        (&[("B", 0), ("A", 10)][..], false)
    );
    assert!(queries.count() <= 2, "{:?}", queries.0);
}

#[tokio::test]
async fn sections_are_their_staffs_and_one_that_was_used_stays() {
    let school = School::open(None).await;
    let student = school.students(1).await.remove(0);
    let section = school.section("A", None, None).await;
    let named = |name: &str| Changes {
        name: Some(name.into()),
        term: Some("2026-2027 Güz".into()),
        ..Changes::default()
    };
    let again = sections::create(&school.app, &school.teacher, school.course.id, named("A")).await;
    assert_eq!(code(&again), "section_exists");
    let foreign = sections::create(&school.app, &student, school.course.id, named("B")).await;
    assert_eq!(code(&foreign), "permission_denied");
    let foreign = sections::update(&school.app, &student, section.id, named("B")).await;
    assert_eq!(code(&foreign), "not_found");
    let reversed = Changes {
        starts_at: Some(Some(school.app.clock.now())),
        ends_at: Some(Some(school.app.clock.now() - time::Duration::DAY)),
        ..Changes::default()
    };
    let reversed = sections::update(&school.app, &school.teacher, section.id, reversed).await;
    assert_eq!(code(&reversed), "validation_failed");
    school.enroll(&student, None).await.unwrap();
    let delete = || sections::delete(&school.app, &school.teacher, section.id);
    assert_eq!(code(&delete().await), "section_in_use");
    school
        .texts("UPDATE enrollment.enrollments SET section_id = NULL RETURNING status")
        .await;
    delete().await.unwrap();
    assert_eq!(code(&delete().await), "not_found");
}

#[tokio::test]
async fn enrolments_end_with_their_section_or_at_a_time_of_their_own() {
    let school = School::open_at(fixed_clock(), None).await;
    let students = school.students(3).await;
    let section = school.section("A", Some(3_600), None).await;
    let mut ids = Vec::new();
    for student in &students {
        ids.push(school.enroll(student, None).await.unwrap().enrollment.id);
    }
    let own = Change {
        expires_at: Some(Some(school.app.clock.now() + time::Duration::minutes(10))),
        ..Change::default()
    };
    school.change(ids[0], own).await.unwrap();
    let completed = Change {
        status: Some(Status::Completed),
        ..Change::default()
    };
    school.change(ids[1], completed).await.unwrap();
    assert_eq!(expire_enrollments(&school.app).await.unwrap(), 0);

    // The section goes on for longer; who has an end of their own does not.
    let later = Changes {
        ends_at: Some(Some(school.app.clock.now() + time::Duration::hours(2))),
        ..Changes::default()
    };
    sections::update(&school.app, &school.teacher, section.id, later)
        .await
        .unwrap();
    school.app.clock.advance(Duration::from_mins(90));
    assert_eq!(expire_enrollments(&school.app).await.unwrap(), 1);
    assert_eq!(school.stored(ids[0]).await.status, Status::Expired);
    school.app.clock.advance(Duration::from_hours(1));
    assert_eq!(expire_enrollments(&school.app).await.unwrap(), 1);
    let told = school.events().await;
    let changes = told.iter().filter(|told| *told == "enrollment.status_changed");
    assert_eq!(changes.count(), 3, "completed once, expired twice");
    let states = [ids[0], ids[1], ids[2]].map(|id| school.stored(id));
    let states: Vec<_> = join_all(states).await.into_iter().map(|one| one.status).collect();
    assert_eq!(states, [Status::Expired, Status::Completed, Status::Expired]);

    // Staff takes one back, and it does not expire at once again.
    let back = Change {
        status: Some(Status::Active),
        ..Change::default()
    };
    school.change(ids[0], back).await.unwrap();
    assert_eq!(expire_enrollments(&school.app).await.unwrap(), 0);
    assert_eq!(school.stored(ids[0]).await.expires_at, None);
}
