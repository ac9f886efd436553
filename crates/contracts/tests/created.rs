//! What is created says where it is.

use std::collections::HashSet;

/// `/courses/{course_id}` -> `/courses/{}`.
fn shape(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn every_201_has_the_location_of_a_route() {
    let routes = || {
        contracts::METHODS
            .iter()
            .filter_map(|method| Some((method, method.http?)))
    };
    let readable: HashSet<String> = routes()
        .filter(|(_, http)| http.verb == "GET")
        .map(|(_, http)| shape(http.path))
        .collect();
    let mut nowhere = Vec::new();
    for (method, _) in routes().filter(|(method, _)| method.policy.success_status == 201) {
        match method.policy.location {
            Some(location) if readable.contains(&shape(location)) => {}
            location => nowhere.push((method.name, location)),
        }
    }
    assert!(nowhere.is_empty(), "{nowhere:?}");
}
