//! The OpenAPI 3.1 document: paths from HTTP rules, schemas from messages, constraints and examples from their rules.

mod schemas;

use anyhow::Result;
use prost_reflect::FieldDescriptor;
use serde_json::{Map, Value, json};

use crate::Schema;
use crate::rules::FieldRules;
use crate::schema::{Http, Method};
use schemas::{comment, example_of, field_schema, reference};

/// What a body may be that is a file and no JSON; beside these a form with one file.
pub const FILE_TYPES: &[&str] = &[
    "text/csv",
    "text/plain",
    "text/xml",
    "application/xml",
    "application/zip",
    "application/octet-stream",
];

pub fn generate(schema: &Schema) -> Result<Value> {
    let mut paths = Map::new();
    for (method, http) in schema.routes() {
        let item = paths.entry(http.path.clone()).or_insert_with(|| json!({}));
        item[http.verb.to_ascii_lowercase()] = operation(schema, method, http)?;
    }
    let tags: Vec<Value> = schema
        .pool
        .services()
        .filter(|s| s.full_name().starts_with("sc."))
        .map(|s| json!({"name": tag(s.name()), "description": comment(&s.parent_file(), s.path())}))
        .collect();
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Student Coaching API",
            "version": "1.0.0",
            "summary": "The backend of an online school",
            "description": "Errors are RFC 9457 problem documents whose `code` is stable; their texts follow `Accept-Language` (tr, en). Lists are keyset pages: pass `next_page_token` back as `page_token`. Times are RFC 3339 in UTC, ids are UUIDv7, durations are seconds.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas::all(schema)?,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": problem_responses(),
        },
    }))
}

/// `AuthService` -> `auth`.
fn tag(service: &str) -> String {
    service.trim_end_matches("Service").to_ascii_lowercase()
}

fn operation(schema: &Schema, method: &Method, http: &Http) -> Result<Value> {
    let descriptor = &method.descriptor;
    let text = comment(&descriptor.parent_file(), descriptor.path());
    let (summary, description) = text.split_once('\n').unwrap_or((&text, ""));
    let mut operation = json!({
        "operationId": descriptor.name(),
        "tags": [tag(descriptor.parent_service().name())],
        "summary": summary,
        "responses": responses(schema, method, http)?,
        "x-rate-class": crate::names::snake(method.policy.rate_class.unwrap_or_default()),
    });
    if !description.trim().is_empty() {
        operation["description"] = json!(description.trim());
    }
    if !method.policy.permission.is_empty() {
        operation["x-permission"] = json!(method.policy.permission);
    }
    match method.policy.auth {
        "Required" => operation["security"] = json!([{"bearer": []}]),
        "Optional" => operation["security"] = json!([{}, {"bearer": []}]),
        _ => operation["security"] = json!([]),
    }
    let parameters = parameters(schema, method, http)?;
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if http.has_body {
        let input = descriptor.input();
        let in_path: Vec<&str> = http.path_fields.iter().map(FieldDescriptor::name).collect();
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {
                "schema": schemas::object(schema, &input, &in_path)?,
                "example": example_of(schema, &input, &in_path)?,
            }},
        });
        if !method.policy.file.is_empty() {
            let content = &mut operation["requestBody"]["content"];
            let file = json!({"type": "string", "format": "binary"});
            for content_type in FILE_TYPES {
                content[*content_type] = json!({"schema": file});
            }
            content["multipart/form-data"] = json!({"schema": {
                "type": "object", "required": ["file"], "properties": {"file": file},
                "description": "One file; its other fields stand for parameters of the query.",
            }});
        }
    }
    Ok(operation)
}

fn parameters(schema: &Schema, method: &Method, http: &Http) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for (place, fields) in [("path", &http.path_fields), ("query", &http.query_fields)] {
        for field in fields {
            let rules = FieldRules::of(&schema.pool, field)?;
            let mut parameter = json!({
                "name": field.name(), "in": place, "required": place == "path",
                "schema": field_schema(field, &rules),
            });
            let text = comment(&field.parent_file(), field.path());
            if !text.is_empty() {
                parameter["description"] = json!(text);
            }
            all.push(parameter);
        }
    }
    let is_sign_in = method.policy.auth == "Public" && method.policy.sensitive;
    if http.verb == "POST" && !is_sign_in {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes a repetition safe: the same key with the same request gives the first answer again, with `Idempotent-Replayed: true`. Best a random UUID.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }));
    }
    Ok(all)
}

fn responses(schema: &Schema, method: &Method, http: &Http) -> Result<Value> {
    let policy = &method.policy;
    let output = method.descriptor.output();
    let mut headers = json!({"X-Request-ID": {"schema": {"type": "string"}}});
    if !policy.location.is_empty() {
        headers["Location"] = json!({"schema": {"type": "string"}});
    }
    if policy.cache.is_some() {
        headers["ETag"] = json!({"schema": {"type": "string"}});
    }
    let mut success = json!({"description": "Done.", "headers": headers});
    if output.full_name() == "sc.files.v1.File" {
        success["content"] =
            json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}});
    } else if output.full_name() != "google.protobuf.Empty" {
        success["content"] = json!({"application/json": {
            "schema": reference(&output), "example": example_of(schema, &output, &[])?,
        }});
    }
    let mut responses = Map::new();
    if let Some(status) = policy.existing_status {
        let mut existing = success.clone();
        existing["description"] = json!("It was there already.");
        if let Some(headers) = existing["headers"].as_object_mut() {
            headers.remove("Location");
        }
        responses.insert(status.to_string(), existing);
    }
    responses.insert(policy.success_status.to_string(), success);
    if policy.cache.is_some() {
        responses.insert(
            "304".into(),
            json!({"description": "What the client has is still current."}),
        );
    }
    let mut problems = vec!["400", "422", "429", "500", "503", "504"];
    if policy.auth != "Public" || policy.sensitive {
        problems.push("401");
    }
    // Not only for want of a permission: `not_enrolled`, `sign_in_again` and the like.
    if policy.auth == "Required" {
        problems.push("403");
    }
    if !http.path_fields.is_empty() {
        problems.push("404");
    }
    if http.verb != "GET" {
        problems.push("409");
    }
    if http.has_body {
        problems.extend(["413", "415"]);
    }
    for status in problems {
        responses.insert(
            status.into(),
            json!({"$ref": format!("#/components/responses/{status}")}),
        );
    }
    Ok(Value::Object(responses))
}

fn problem_responses() -> Value {
    let texts = [
        ("400", "The request cannot be read."),
        (
            "401",
            "A valid access token is needed, or the credentials are wrong.",
        ),
        ("403", "The caller may not do this."),
        ("404", "It does not exist, or the caller may not see it."),
        ("409", "The state of the resource does not allow it."),
        ("413", "The body is too large."),
        ("415", "The body is of a type that this route does not take."),
        ("422", "A field is not valid; `errors` says which."),
        ("429", "Too many requests; see Retry-After."),
        ("500", "Something went wrong on our side."),
        (
            "503",
            "A needed part is away, or the service is busy; see Retry-After.",
        ),
        ("504", "It took too long."),
    ];
    let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let all = texts.map(|(status, text)| {
        let mut response = json!({"description": text, "content": content});
        if matches!(status, "429" | "503") {
            response["headers"] =
                json!({"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}});
        }
        if status == "401" {
            response["headers"] = json!({"WWW-Authenticate": {"schema": {"type": "string"}}});
        }
        (status.to_owned(), response)
    });
    Value::Object(all.into_iter().collect())
}
