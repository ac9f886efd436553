use std::collections::HashSet;

use problem::Problem;

use super::*;
use crate::storage::enrollments::RosterFilter;
use crate::usecases::list_mine::{Page, Paging};
use crate::usecases::list_roster::list_roster;

async fn found(school: &School, search: &str, token: Option<String>) -> Result<Page, Problem> {
    let (filter, paging) = (RosterFilter::default(), Paging { size: 2, token });
    list_roster(
        &school.app,
        &school.teacher,
        school.course.id,
        filter,
        Some(search),
        paging,
    )
    .await
}

#[tokio::test]
async fn students_are_found_by_a_part_of_their_name_however_it_is_spelled() {
    let school = School::open(None).await;
    let names = ["Işıl Çelik", "ISIL ÖZ", "isil Şen", "Ada Yılmaz", "100%_lik"];
    let known: HashMap<String, User> = school
        .people(names.len())
        .into_values()
        .zip(names)
        .map(|(user, name)| {
            let user = User {
                full_name: name.into(),
                ..user
            };
            (format!("{}@okul.test", user.id), user)
        })
        .collect();
    let emails: Vec<String> = known.keys().cloned().collect();
    let rows: Vec<(&str, Option<&str>)> = emails.iter().map(|email| (email.as_str(), None)).collect();
    school.import(&rows, &known, false).await;
    for search in ["ışıl", " IŞIL ", "isıl"] {
        let (mut seen, mut token) = (HashSet::new(), None);
        loop {
            let page = found(&school, search, token).await.unwrap();
            seen.extend(page.enrollments.into_iter().filter_map(|row| row.full_name));
            token = Some(page.next_page_token).filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        assert_eq!(
            seen,
            HashSet::from(["Işıl Çelik", "ISIL ÖZ", "isil Şen"].map(str::to_owned)),
            "{search}"
        );
    }
    for (search, count) in [("%_", 1), ("celik", 1), ("nobody", 0), ("  ", 2)] {
        let page = found(&school, search, None).await.unwrap();
        assert_eq!(page.enrollments.len(), count, "{search}");
    }
    // A token belongs to its search.
    let token = found(&school, "isil", None).await.unwrap().next_page_token;
    let refused = found(&school, "ada", Some(token)).await.unwrap_err();
    assert_eq!(refused.code().name, "invalid_page_token");
    // Addresses are auth's, which is not there.
    let refused = found(&school, "ada@okul.test", None).await.unwrap_err();
    assert_ne!(refused.code().name, "not_found");
}
