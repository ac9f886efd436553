//! From an HTTP request to a message, refusing whatever cannot be meant.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use problem::{FieldError, Problem, codes};
use serde::de::DeserializeOwned;

use crate::Rpc;

/// An RPC with an HTTP rule.
pub trait Rest: Rpc {
    /// The checked request message.
    fn bind(input: RestInput<'_>) -> Result<Self::Request, Problem>;

    /// The answer as a file, where it is none of JSON.
    fn file(_response: &Self::Response) -> Option<&crate::files::v1::File> {
        None
    }

    /// Asks for that part of a file next. False for a request that knows no parts.
    fn set_part(_request: &mut Self::Request, _part: i32) -> bool {
        false
    }

    /// The `Location` of what was created, or goes on.
    fn location(_response: &Self::Response) -> Option<String> {
        None
    }
}

/// The parts of an HTTP request that a message is made of.
#[derive(Debug, Clone, Copy)]
pub struct RestInput<'a> {
    /// Decoded.
    pub path: &'a [(&'a str, &'a str)],
    /// As it came, still percent-encoded.
    pub query: Option<&'a str>,
    pub body: &'a [u8],
    /// The body is a file as it is, and no JSON.
    pub is_file: bool,
}

/// Sees every route once; see [`crate::visit_routes`].
pub trait RestVisitor {
    fn route<R: Rest>(&mut self);
}

/// A message out of a JSON body. Unknown and repeated members, U+0000, invalid UTF-8 and too deep nesting are refused.
pub fn body<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    let text = std::str::from_utf8(bytes).map_err(|fault| {
        let place = fault.valid_up_to();
        Problem::new(&codes::MALFORMED_JSON).with_detail(format!("byte {place} is not UTF-8"))
    })?;
    if has_escaped_nul(text) {
        return Err(Problem::invalid_field(
            "",
            "string.no_nul",
            "U+0000 is not accepted",
        ));
    }
    serde_json::from_str(text).map_err(|fault| {
        let said = fault.to_string();
        if let Some(field) = between_backticks(&said, "unknown field `") {
            return Problem::invalid_field(field, "unknown_field", "this request has no such field");
        }
        Problem::new(&codes::MALFORMED_JSON).with_detail(shorten(&for_clients(&said)))
    })
}

/// A file as the member of JSON that it stands for.
pub fn base64(file: &[u8]) -> String {
    STANDARD.encode(file)
}

/// A route without a body takes none, or an empty object.
pub fn no_body(bytes: &[u8]) -> Result<(), Problem> {
    if bytes.is_empty() {
        return Ok(());
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    body::<Nothing>(bytes).map(|_| ())
}

pub fn no_query(query: Option<&str>) -> Result<(), Problem> {
    match self::query(query)?.into_iter().next() {
        Some((name, _)) => Err(unknown_parameter(name)),
        None => Ok(()),
    }
}

/// Puts a path parameter into its field. A body that names the field too has to agree.
pub fn path(name: &str, parameters: &[(&str, &str)], field: &mut String) -> Result<(), Problem> {
    let found = parameters.iter().find(|(parameter, _)| *parameter == name);
    let (_, value) = found.ok_or_else(|| Problem::internal(format!("the route binds no {name}")))?;
    if !field.is_empty() && field != value {
        return Err(Problem::invalid_field(
            name,
            "path_mismatch",
            "the body says otherwise than the path",
        ));
    }
    no_nul(name, value)?;
    (*value).clone_into(field);
    Ok(())
}

/// Decodes a query string (`application/x-www-form-urlencoded`). Each name may stand once.
pub fn query(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in query
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty())
    {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(at_parameter(
                &codes::MALFORMED_REQUEST,
                name,
                "repeated",
                "stands more than once",
            ));
        }
        no_nul(&name, &value)?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

pub fn unknown_parameter(name: String) -> Problem {
    at_parameter(
        &codes::UNKNOWN_PARAMETER,
        name,
        "unknown_parameter",
        "this route has no such parameter",
    )
}

/// Puts a query parameter into its field. An empty value leaves an optional field unset, as forms send it.
pub fn parameter<T: Parameter>(name: &str, value: &str, field: &mut T) -> Result<(), Problem> {
    field
        .set(value)
        .map_err(|expected| Problem::invalid_field(name, "parameter.type", expected))
}

/// A type that a query parameter can have.
pub trait Parameter {
    /// Takes the value, or says what was expected.
    fn set(&mut self, value: &str) -> Result<(), &'static str>;
}

impl Parameter for String {
    fn set(&mut self, value: &str) -> Result<(), &'static str> {
        value.clone_into(self);
        Ok(())
    }
}

impl Parameter for i32 {
    fn set(&mut self, value: &str) -> Result<(), &'static str> {
        *self = value.parse().map_err(|_| "a whole number")?;
        Ok(())
    }
}

impl Parameter for bool {
    fn set(&mut self, value: &str) -> Result<(), &'static str> {
        *self = match value {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err("true or false"),
        };
        Ok(())
    }
}

impl<T: Parameter + Default> Parameter for Option<T> {
    fn set(&mut self, value: &str) -> Result<(), &'static str> {
        if value.is_empty() {
            return Ok(());
        }
        self.insert(T::default()).set(value)
    }
}

fn at_parameter(code: &'static problem::Code, name: String, rule: &'static str, detail: &str) -> Problem {
    Problem::new(code).with_fields(vec![FieldError {
        field: name,
        code: rule.into(),
        detail: detail.into(),
    }])
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    let decoded = percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| Problem::new(&codes::MALFORMED_REQUEST).with_detail("the query is not UTF-8"))
}

fn no_nul(name: &str, value: &str) -> Result<(), Problem> {
    if value.contains('\0') {
        return Err(Problem::invalid_field(
            name,
            "string.no_nul",
            "U+0000 is not accepted",
        ));
    }
    Ok(())
}

/// Whether the JSON text holds the escape of U+0000: an odd number of backslashes before `u0000`. (A bare U+0000 is no JSON.)
fn has_escaped_nul(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.match_indices("\\u0000")
        .any(|(at, _)| bytes[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0)
}

fn between_backticks<'a>(text: &'a str, opening: &str) -> Option<&'a str> {
    text.split_once(opening)?.1.split_once('`').map(|(name, _)| name)
}

/// What the JSON reader says, without the names of our own types.
fn for_clients(said: &str) -> String {
    let said = said
        .replace(
            "data did not match any variant of untagged enum Content",
            "expected a number",
        )
        .replace("invalid digit found in string", "expected a number");
    match said.split_once("expected struct ") {
        Some((before, after)) => {
            let (_, place) = after.split_once(' ').unwrap_or_default();
            format!("{before}expected an object {place}")
        }
        None => said,
    }
}

/// serde's message repeats what it read; a client's own nonsense is given back to it only in part.
fn shorten(said: &str) -> String {
    const LIMIT: usize = 200;
    if said.chars().count() <= LIMIT {
        said.to_owned()
    } else {
        said.chars().take(LIMIT).collect::<String>() + "…"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::v1::rpc::{GetMe, Login, UpdateUser};
    use crate::catalog::v1::CreateCourseRequest;
    use crate::catalog::v1::rpc::{CreateCourse, ListCourses, UpdateCourse};
    use proptest::prelude::*;

    const ID: &str = "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10";

    #[test]
    fn a_wrong_type_is_told_without_names_of_ours_and_in_turkish() {
        let said = |json: &str| {
            let problem = body::<CreateCourseRequest>(json.as_bytes()).unwrap_err();
            problem.detail().unwrap_or_default().to_owned()
        };
        assert_eq!(
            said("null"),
            "invalid type: null, expected an object at line 1 column 4"
        );
        for (json, begins) in [
            (
                r#"{"title": "x", "seat_limit": 1.5}"#,
                "expected a number at line 1",
            ),
            (
                r#"{"title": "x", "seat_limit": "abc"}"#,
                "expected a number at line 1",
            ),
            (r#"{"title": "\ud800"}"#, "unexpected end of hex escape at line 1"),
            (
                r#"{"title": 1}"#,
                "invalid type: integer `1`, expected a string at line 1",
            ),
            ("[]", "invalid type: sequence, expected an object at line 1"),
        ] {
            let told = said(json);
            assert!(told.starts_with(begins), "{json}: {told}");
            assert_ne!(problem::turkish::of(&told), None, "{told}");
        }
    }

    fn bind<R: Rest>(path: &[(&str, &str)], query: &str, body: &[u8]) -> Result<R::Request, Problem> {
        R::bind(RestInput {
            path,
            query: Some(query).filter(|q| !q.is_empty()),
            body,
            is_file: false,
        })
    }

    fn refusal<R: Rest>(path: &[(&str, &str)], query: &str, body: &[u8]) -> (String, String) {
        let problem = bind::<R>(path, query, body).map(|_| ()).unwrap_err();
        let field = problem
            .fields()
            .first()
            .map(|f| format!("{} {}", f.field, f.code))
            .unwrap_or_default();
        (problem.code().name.to_owned(), field)
    }

    #[test]
    fn naughty_bodies_are_refused_with_a_code() {
        let deep = format!("{{\"email\":{}{}}}", "[".repeat(200), "]".repeat(200));
        let cases: &[(&[u8], &str, &str)] = &[
            (b"{", "malformed_json", ""),
            (b"[]", "malformed_json", ""),
            (b"null", "malformed_json", ""),
            (b"{\"email\":\"a\",\"email\":\"b\"}", "malformed_json", ""),
            (b"{\"email\":\"a\\u0000\"}", "validation_failed", " string.no_nul"),
            (b"{\"email\":\"\xff\"}", "malformed_json", ""),
            (b"{\"email\":1}", "malformed_json", ""),
            (b"{\"email\":\"a\"} x", "malformed_json", ""),
            (b"\xef\xbb\xbf{}", "malformed_json", ""),
            (b"{\"role\":\"admin\"}", "validation_failed", "role unknown_field"),
            (deep.as_bytes(), "malformed_json", ""),
        ];
        for (body, code, field) in cases {
            let got = refusal::<Login>(&[], "", body);
            assert_eq!(
                got,
                ((*code).to_owned(), (*field).to_owned()),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn an_escaped_backslash_before_u0000_is_text() {
        let request = bind::<Login>(&[], "", br#"{"email":"a\\u0000","password":"x"}"#).unwrap();
        assert_eq!(request.email, "a\\u0000");
    }

    #[test]
    fn path_and_body_have_to_agree() {
        let body = format!("{{\"id\":\"{ID}\"}}");
        assert!(bind::<UpdateUser>(&[("id", ID)], "", body.as_bytes()).is_ok());
        let got = refusal::<UpdateUser>(&[("id", ID)], "", b"{\"id\":\"other\"}");
        assert_eq!(got, ("validation_failed".into(), "id path_mismatch".into()));
    }

    #[test]
    fn absent_and_null_optional_fields_stay_unset() {
        let request = bind::<UpdateCourse>(&[("id", ID)], "", b"{\"title\":null,\"seat_limit\":3}").unwrap();
        assert_eq!((request.title, request.seat_limit), (None, Some(3)));
    }

    #[test]
    fn query_parameters_are_typed_and_known() {
        let request = bind::<ListCourses>(
            &[],
            "q=%C4%B0stanbul+tarihi&page_size=5&include_drafts=true&code=",
            b"",
        )
        .unwrap();
        assert_eq!(request.q.as_deref(), Some("İstanbul tarihi"));
        assert_eq!(
            (request.page_size, request.include_drafts, request.code),
            (Some(5), Some(true), None)
        );
        for (query, code, field) in [
            ("nonsense=1", "unknown_parameter", "nonsense unknown_parameter"),
            ("page_size=x", "validation_failed", "page_size parameter.type"),
            ("page_size=0", "validation_failed", "page_size int32.gte"),
            ("page_size=101", "validation_failed", "page_size int32.lte"),
            ("q=a&q=b", "malformed_request", "q repeated"),
            ("q=%00", "validation_failed", "q string.no_nul"),
            ("q=%ff", "malformed_request", ""),
        ] {
            assert_eq!(
                refusal::<ListCourses>(&[], query, b""),
                (code.to_owned(), field.to_owned()),
                "{query}"
            );
        }
    }

    #[test]
    fn a_route_without_a_body_takes_an_empty_object() {
        assert!(bind::<GetMe>(&[], "", b"{}").is_ok());
        assert_eq!(refusal::<GetMe>(&[], "", b"{\"x\":1}").0, "validation_failed");
    }

    #[test]
    fn location_comes_from_the_answer() {
        let course = crate::catalog::v1::Course {
            id: ID.into(),
            ..Default::default()
        };
        assert_eq!(
            CreateCourse::location(&course).as_deref(),
            Some(&*format!("/api/v1/courses/{ID}"))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_binding_panic(body: Vec<u8>, query in ".*") {
            let _ = bind::<CreateCourse>(&[], &query, &body);
            let _ = bind::<ListCourses>(&[], &query, &body);
        }

        #[test]
        fn json_of_a_course_round_trips(title in ".*", seats in proptest::option::of(1i32..), ids in prop::collection::vec("[a-z]{0,9}", 0..4)) {
            let course = crate::catalog::v1::Course { title, seat_limit: seats, prerequisite_ids: ids, ..Default::default() };
            let json = serde_json::to_string(&course).unwrap();
            prop_assert_eq!(serde_json::from_str::<crate::catalog::v1::Course>(&json).unwrap(), course);
        }
    }
}
