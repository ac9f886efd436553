//! The Big List of Naughty Strings in every text that the API takes. The list is not part of this repository: the test is skipped
//! where it is absent.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]
#![expect(clippy::print_stdout, reason = "how many cases there were")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt};
use journeys::api::text;
use journeys::people::{Person, admin, course, student, teacher};
use journeys::{Answer, Api, Stack};
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

const AT_A_TIME: usize = 16;
/// Each text of the API meets so many strings at least; together those of one kind meet all.
const AT_LEAST: usize = 50;

fn strings() -> Option<Vec<String>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared =
        std::env::var_os("SC_SHARED_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let file = project.join(shared).join("5-hostile-input/blns/blns.json");
    let Ok(list) = std::fs::read(&file) else {
        println!("skipped: there is no {}", file.display());
        return None;
    };
    Some(serde_json::from_slice(&list).unwrap())
}

/// A text that the API takes.
#[derive(Debug, Clone)]
struct Place {
    verb: Method,
    path: String,
    at: At,
    /// What has the same kind is read by the same code.
    kind: String,
    /// The body around it.
    body: Option<Value>,
}

#[derive(Debug, Clone)]
enum At {
    Path(String),
    Query(String),
    Header(String),
    /// As a JSON pointer.
    Body(String),
}

/// The API as its own document describes it.
struct Document<'a> {
    document: &'a Value,
    world: &'a World,
}

struct World {
    admin: Person,
    student: Person,
    nobody: Api,
    /// The values of parameters: what comes first in a path that starts so.
    ids: Vec<(&'static str, String)>,
}

impl Document<'_> {
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => self.document.pointer(name.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// A value that the schema allows, as small as it may be.
    fn sample(&self, name: &str, schema: &Value) -> Value {
        let schema = self.resolved(schema);
        if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
            return first.clone();
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match (kind, name) {
            (Some("object"), _) => self.object(schema),
            (Some("array"), _) => json!([]),
            (Some("integer"), _) => schema["minimum"].as_i64().unwrap_or(1).into(),
            (Some("boolean"), _) => false.into(),
            (_, "email") => "somebody@journey.test".into(),
            (_, "youtube_id") => "abcdefghijk".into(),
            (_, "role") => "student".into(),
            (_, "password" | "new_password") => "a long enough secret".into(),
            (_, name) if name.ends_with("_id") => self.world.id("/api/v1/courses/").into(),
            _ => "text".into(),
        }
    }

    fn object(&self, schema: &Value) -> Value {
        let names = schema["required"].as_array().into_iter().flatten();
        let members = names.filter_map(Value::as_str);
        members
            .map(|name| (name.to_owned(), self.sample(name, &schema["properties"][name])))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The texts of a body: a pointer to each, its schema, and a body that has it.
    fn texts(&self, body: &Value, at: &str, schema: &Value, found: &mut Vec<(String, Value, Value)>) {
        let schema = self.resolved(schema);
        let is = |kind: &str| {
            schema["type"] == kind
                || schema["type"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|k| k == kind))
        };
        if is("object") {
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                let mut body = body.clone();
                let at_member = format!("{at}/{name}");
                body.pointer_mut(at).unwrap()[name] = self.sample(name, member);
                self.texts(&body, &at_member, member, found);
            }
        } else if is("array") {
            let mut body = body.clone();
            *body.pointer_mut(at).unwrap() = json!([self.sample("item", &schema["items"])]);
            self.texts(&body, &format!("{at}/0"), &schema["items"], found);
        } else if is("string") {
            found.push((at.to_owned(), schema.clone(), body.clone()));
        }
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (path, verbs) in self.document["paths"].as_object().unwrap() {
            for (verb, operation) in verbs.as_object().unwrap() {
                let verb = Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap();
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                let body = (!schema.is_null()).then(|| self.object(self.resolved(schema)));
                let place = |at, kind, body| Place {
                    verb: verb.clone(),
                    path: path.clone(),
                    at,
                    kind,
                    body,
                };
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let parameter = self.resolved(parameter);
                    let name = text(parameter, "name").to_owned();
                    let kind = format!("{} {}", text(parameter, "in"), kind_of(&parameter["schema"]));
                    let at = match text(parameter, "in") {
                        "path" => At::Path(name),
                        "query" => At::Query(name),
                        _ => At::Header(name),
                    };
                    places.push(place(at, kind, body.clone()));
                }
                let mut texts = Vec::new();
                if let Some(body) = &body {
                    self.texts(body, "", schema, &mut texts);
                }
                for (at, schema, body) in texts {
                    places.push(place(
                        At::Body(at),
                        format!("body {}", kind_of(&schema)),
                        Some(body),
                    ));
                }
            }
        }
        places
    }
}

/// A text's format, or whether it is one of a few, or how long it may be.
fn kind_of(schema: &Value) -> String {
    if !schema["enum"].is_null() {
        return "enum".into();
    }
    if let Some(format) = schema["format"].as_str() {
        return format.into();
    }
    match schema["maxLength"].as_u64() {
        None => "unbounded".into(),
        Some(length) if length <= 300 => "line".into(),
        Some(_) => "text".into(),
    }
}

impl World {
    fn id(&self, path: &str) -> &str {
        let found = self.ids.iter().find(|(prefix, _)| path.starts_with(prefix));
        found.map_or("0193b2a4-6c3e-7b1a-9f00-000000000001", |(_, id)| id)
    }

    async fn new(stack: &Stack) -> Self {
        let boss = admin(stack).await;
        let student = student(stack, "ada").await;
        let teacher = teacher(stack, &boss, "deniz").await;
        let course = course(&teacher, "Course").await;
        let course = text(&course, "id").to_owned();
        let make = async |path: String, body: Value| {
            let made = boss.api.post(&path, body).await.expect(201);
            text(&made, "id").to_owned()
        };
        let at = format!("/api/v1/courses/{course}");
        let topic = make(format!("{at}/topics"), json!({"title": "Topic"})).await;
        let video = json!({"youtube_id": "abcdefghijk", "title": "Video"});
        let video = make(format!("{at}/videos"), video).await;
        let category = make("/api/v1/categories".into(), json!({"name": "Category"})).await;
        let enrollment = make(format!("{at}/enrollments"), json!({"user_id": student.id})).await;
        let exam = make(format!("{at}/exams"), json!({"title": "Exam"})).await;
        let exams = format!("/api/v1/exams/{exam}");
        let question = json!({"type": "short", "text": "?", "accepted": [{"text": "a"}]});
        let question = make(format!("{exams}/questions"), question).await;
        boss.api
            .post(&format!("{exams}/publish"), json!({}))
            .await
            .expect(200);
        let attempt = student
            .api
            .post(&format!("{exams}/attempts"), json!({}))
            .await
            .expect(201);
        // An exam that may still be changed.
        let draft = make(format!("{at}/exams"), json!({"title": "Draft"})).await;
        let ids = vec![
            (
                "/api/v1/exam-attempts/{attempt_id}/answers/{question_id}",
                question.clone(),
            ),
            (
                "/api/v1/exam-attempts/{attempt_id}/grades/{question_id}",
                question.clone(),
            ),
            ("/api/v1/exam-attempts/", text(&attempt, "id").to_owned()),
            (
                "/api/v1/exams/{exam_id}/accommodations/{user_id}",
                student.id.clone(),
            ),
            ("/api/v1/exams/", draft),
            ("/api/v1/questions/", question),
            ("/api/v1/courses/", course),
            ("/api/v1/topics/", topic),
            ("/api/v1/videos/", video),
            ("/api/v1/categories/", category),
            ("/api/v1/enrollments/", enrollment),
            ("/api/v1/roles/", "assistant".into()),
            ("/api/v1/users/{id}", student.id.clone()),
        ];
        Self {
            admin: boss,
            student,
            nobody: stack.api(),
            ids,
        }
    }

    /// The path with every parameter but one, which is this text.
    fn filled(&self, path: &str, but: Option<(&str, &str)>) -> String {
        let mut filled = String::new();
        for segment in path.split('/').skip(1) {
            filled.push('/');
            match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                None => filled.push_str(segment),
                Some(name) => match but {
                    Some((chosen, value)) if chosen == name => {
                        filled.extend(value.bytes().map(|byte| format!("%{byte:02X}")));
                    }
                    _ => {
                        // The first parameter of a path with two belongs to its collection.
                        let end = path.find(segment).unwrap_or_default() + segment.len();
                        filled.push_str(self.id(&path[..end]));
                    }
                },
            }
        }
        filled
    }

    async fn send(&self, place: &Place, string: &str) -> Option<Answer> {
        let mut body = place.body.clone();
        let mut path = self.filled(&place.path, None);
        let mut headers = Vec::new();
        match &place.at {
            At::Path(name) => path = self.filled(&place.path, Some((name, string))),
            At::Query(name) => {
                let value: String = byte_serialize(string.as_bytes()).collect();
                path = format!("{path}?{name}={value}");
            }
            At::Header(name) => {
                // What cannot stand in a header is no case.
                reqwest::header::HeaderValue::from_str(string).ok()?;
                headers.push((name.as_str(), string));
            }
            At::Body(at) => *body.as_mut()?.pointer_mut(at)? = string.into(),
        }
        let api = match place.path.as_str() {
            "/api/v1/exam-attempts/{attempt_id}/answers/{question_id}" => &self.student.api,
            // Whoever signs out is of no more use here.
            "/api/v1/auth/logout" => &self.nobody,
            _ => &self.admin.api,
        };
        Some(api.send(place.verb.clone(), &path, body, &headers).await)
    }
}

/// What is wrong with an answer.
fn fault(answer: &Answer) -> Option<String> {
    let is_problem = answer.header("content-type") == Some("application/problem+json")
        && !answer.code().is_empty()
        && answer.body["request_id"].as_str() == answer.header("x-request-id");
    match answer.status {
        200..300 => None,
        400..500 if is_problem => None,
        status => Some(format!("{status}: {}", answer.body)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_string_breaks_a_text_of_the_api() {
    let Some(strings) = strings() else { return };
    let stack = Stack::start().await;
    let world = World::new(&stack).await;
    let document = stack.api().get("/openapi.json").await.expect(200);
    let places = Document {
        document: &document,
        world: &world,
    }
    .places();
    let mut kinds: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for place in &places {
        kinds.entry(&place.kind).or_default().push(place);
    }
    let mut cases = Vec::new();
    for places in kinds.values() {
        let each = AT_LEAST.max(strings.len().div_ceil(places.len()));
        for (number, place) in places.iter().enumerate() {
            let some = strings
                .iter()
                .cycle()
                .skip(number * each % strings.len())
                .take(each);
            cases.extend(some.map(|string| (*place, string)));
        }
    }
    let world = &world;
    let answers = stream::iter(cases).map(|(place, string)| async move {
        let answer = world.send(place, string).await?;
        let fault = fault(&answer)
            .map(|fault| format!("{} {} {:?} {string:?}: {fault}", place.verb, place.path, place.at));
        Some((answer.status, fault))
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_A_TIME).collect().await;
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (status, fault) in answers.into_iter().flatten() {
        *statuses.entry(status).or_default() += 1;
        wrong.extend(fault);
    }
    let count: usize = statuses.values().sum();
    println!(
        "{count} cases: {} texts of {} kinds; answers {statuses:?}",
        places.len(),
        kinds.len()
    );
    assert!(places.len() > 100 && statuses[&201] > 100, "{statuses:?}");
    assert!(
        wrong.is_empty(),
        "{} wrong answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// All things of a list, by id: the member of each.
async fn listed(api: &Api, path: &str, list: &str, member: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut token = String::new();
    let more = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = api.get(&format!("{path}{token}")).await.expect(200);
        for thing in page[list].as_array().into_iter().flatten() {
            found.insert(text(thing, "id").to_owned(), text(thing, member).to_owned());
        }
        match page["next_page_token"].as_str() {
            Some(next) if !next.is_empty() => token = format!("{more}page_token={next}"),
            _ => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_comes_back_as_it_was_sent() {
    let Some(strings) = strings() else { return };
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let shelf = course(&boss, "Shelf").await;
    let topics = format!("/api/v1/courses/{}/topics", text(&shelf, "id"));
    let api = &boss.api;
    let paths = [
        ("/api/v1/categories", "name"),
        (topics.as_str(), "title"),
        ("/api/v1/courses", "title"),
    ];
    let cases = paths
        .iter()
        .flat_map(|(path, member)| strings.iter().map(move |string| (*path, *member, string)));
    let made = stream::iter(cases).map(|(path, member, string)| async move {
        let mut body = json!({member: string});
        if path == "/api/v1/courses" {
            body["description"] = string.as_str().into();
        }
        let made = api.post(path, body).await;
        if made.status != 201 {
            return Err(fault(&made));
        }
        Ok((path, text(&made.body, "id").to_owned(), string))
    });
    let made: Vec<_> = made.buffer_unordered(AT_A_TIME).collect().await;
    let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    let wrong: Vec<String> = refused.into_iter().filter_map(|refused| refused.err()?).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} stored of {}", made.len(), strings.len() * 3);
    assert!(made.len() > strings.len() * 5 / 2);

    let categories = listed(api, "/api/v1/categories?page_size=100", "categories", "name").await;
    let topics = listed(api, &topics, "topics", "title").await;
    let mut wrong = Vec::new();
    for (path, id, sent) in made.into_iter().flatten() {
        // Spaces around a name are not part of it.
        let sent = sent.trim();
        let found = if path == "/api/v1/courses" {
            let course = api.get(&format!("{path}/{id}")).await.expect(200);
            assert_eq!(course["description"].as_str().unwrap_or_default().trim(), sent);
            course["title"].as_str().map(str::to_owned)
        } else {
            categories.get(&id).or_else(|| topics.get(&id)).cloned()
        };
        if found.as_deref() != Some(sent) {
            wrong.push(format!("{path}: {sent:?} came back as {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
