//! What is created says where it is, and what goes on where it is told of.

use std::any::TypeId;
use std::collections::HashSet;

use contracts::auth::v1::Operation;
use contracts::{Rest, RestVisitor};

/// `/courses/{course_id}` -> `/courses/{}`.
fn shape(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// The resource itself, whatever can be done with it; its list where it has no address of its own.
#[test]
fn every_201_has_the_location_of_a_route() {
    let routes = || {
        contracts::METHODS
            .iter()
            .filter_map(|method| Some((method, method.http?)))
    };
    let known: HashSet<String> = routes()
        .filter(|(_, http)| http.verb != "POST")
        .map(|(_, http)| shape(http.path))
        .collect();
    let mut nowhere = Vec::new();
    for (method, http) in routes().filter(|(method, _)| method.policy.success_status == 201) {
        let list = shape(http.path);
        let own = format!("/api/v1/{}/{{}}", list.rsplit('/').next().unwrap_or_default());
        let location = method.policy.location.map(shape).unwrap_or_default();
        let hides_its_own = location == list && known.contains(&own);
        if hides_its_own || !known.contains(&location) {
            nowhere.push((method.name, location));
        }
    }
    assert!(nowhere.is_empty(), "{nowhere:?}");
}

#[derive(Default)]
struct Begun(Vec<(&'static str, Option<&'static str>)>);

impl RestVisitor for Begun {
    fn route<R: Rest>(&mut self) {
        let policy = R::METHOD.policy;
        if policy.success_status == 202 && TypeId::of::<R::Response>() == TypeId::of::<Operation>() {
            self.0.push((R::METHOD.name, policy.location));
        }
    }
}

#[test]
fn every_202_that_begins_an_operation_has_its_location() {
    let mut begun = Begun::default();
    contracts::visit_routes(&mut begun);
    assert!(!begun.0.is_empty());
    for (name, location) in begun.0 {
        assert_eq!(location, Some("/api/v1/operations/{id}"), "{name}");
    }
}
