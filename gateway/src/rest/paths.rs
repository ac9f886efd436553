//! Which RPC a request asks for. The matcher is the one that axum has, so that paths mean the same to both.

use std::collections::BTreeMap;

use contracts::{Rest, RestVisitor};
use http::{HeaderValue, Method};
use matchit::{Match, Router};

use super::endpoint::Endpoint;

/// All paths of RPCs.
pub struct Paths {
    router: Router<Path>,
}

/// A path and what its verbs do.
pub struct Path {
    /// With `{name}` for what is bound.
    pub template: &'static str,
    /// The verbs as a header.
    pub allow: HeaderValue,
    endpoints: Vec<(Method, Endpoint)>,
}

impl Paths {
    pub fn of_all_rpcs() -> Self {
        let mut found = Found::default();
        contracts::visit_routes(&mut found);
        let mut router = Router::new();
        for (template, endpoints) in found.0 {
            let path = Path {
                template,
                allow: allow(&endpoints),
                endpoints,
            };
            if let Err(fault) = router.insert(template, path) {
                unreachable!("{template}: {fault}");
            }
        }
        Self { router }
    }

    pub fn at<'a>(&'a self, path: &'a str) -> Option<Match<'a, 'a, &'a Path>> {
        self.router.at(path).ok()
    }
}

impl Path {
    /// What the verb does. HEAD is a GET whose answer is sent without its body.
    pub fn endpoint(&self, verb: &Method) -> Option<&Endpoint> {
        let of = |verb: &Method| self.endpoints.iter().find(|(known, _)| known == verb);
        let found = match *verb {
            Method::HEAD => of(&Method::GET),
            _ => of(verb),
        };
        found.map(|(_, endpoint)| endpoint)
    }
}

#[derive(Default)]
struct Found(BTreeMap<&'static str, Vec<(Method, Endpoint)>>);

impl RestVisitor for Found {
    fn route<R: Rest>(&mut self) {
        let Some(http) = R::METHOD.http else { return };
        let verb = match http.verb {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            _ => Method::DELETE,
        };
        let endpoints = self.0.entry(http.path).or_default();
        endpoints.push((verb, Endpoint::of::<R>()));
    }
}

fn allow(endpoints: &[(Method, Endpoint)]) -> HeaderValue {
    let verbs: Vec<&str> = endpoints
        .iter()
        .map(|(verb, _)| match *verb {
            Method::GET => "GET,HEAD",
            _ => verb.as_str(),
        })
        .collect();
    HeaderValue::try_from(verbs.join(",")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_comes_before_what_is_bound() {
        let paths = Paths::of_all_rpcs();
        for (path, template) in [
            ("/api/v1/users/me", Some("/api/v1/users/me")),
            ("/api/v1/users/x", Some("/api/v1/users/{id}")),
            ("/api/v1/users/import", Some("/api/v1/users/import")),
            ("/api/v1/users/%6de", Some("/api/v1/users/{id}")),
            ("/api/v1/users/", None),
            ("/api/v1/users/x/", None),
            ("/api/v1/live", None),
            ("/health", None),
            ("", None),
        ] {
            assert_eq!(
                paths.at(path).map(|found| found.value.template),
                template,
                "{path}"
            );
        }
        let found = paths.at("/api/v1/exam-attempts/a%2Fb/answers/c").unwrap();
        let parameters: Vec<_> = found.params.iter().collect();
        assert_eq!(parameters, [("attempt_id", "a%2Fb"), ("question_id", "c")]);
    }

    #[test]
    fn a_path_knows_its_verbs() {
        let paths = Paths::of_all_rpcs();
        let courses = paths.at("/api/v1/courses").unwrap().value;
        let name = |verb| courses.endpoint(verb).map(|endpoint| endpoint.method.name);
        assert_eq!(name(&Method::GET), Some("ListCourses"));
        assert_eq!(name(&Method::HEAD), Some("ListCourses"));
        assert_eq!(name(&Method::POST), Some("CreateCourse"));
        assert_eq!(name(&Method::PUT), None);
        assert_eq!(name(&Method::OPTIONS), None);
        assert_eq!(courses.allow, "GET,HEAD,POST");
    }
}
