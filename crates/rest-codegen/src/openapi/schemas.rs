//! Messages as JSON Schema.

use anyhow::Result;
use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::Schema;
use crate::rules::{FieldRules, StringRules};
use crate::schema::items_of;

/// Every message that the routes mention, and the problem document.
pub fn all(schema: &Schema) -> Result<Map<String, Value>> {
    let mut found: Vec<MessageDescriptor> = Vec::new();
    for (method, http) in schema.routes() {
        collect(&method.descriptor.output(), &mut found)?;
        if http.has_body {
            for field in method.descriptor.input().fields() {
                if let Kind::Message(message) = field.kind() {
                    collect(&message, &mut found)?;
                }
            }
        }
    }
    let mut schemas = Map::new();
    for message in found {
        schemas.insert(message.name().to_owned(), object(schema, &message, &[])?);
    }
    schemas.insert("Problem".into(), problem());
    Ok(schemas)
}

fn collect(message: &MessageDescriptor, found: &mut Vec<MessageDescriptor>) -> Result<()> {
    if message.full_name().starts_with("google.") || found.contains(message) {
        return Ok(());
    }
    if items_of(message)?.is_none() {
        found.push(message.clone());
    }
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            collect(&inner, found)?;
        }
    }
    Ok(())
}

/// The message as an object, without the fields that the path binds.
pub fn object(schema: &Schema, message: &MessageDescriptor, without: &[&str]) -> Result<Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in message.fields().filter(|f| !without.contains(&f.name())) {
        let rules = FieldRules::of(&schema.pool, &field)?;
        let mut property = match list_of(&field)? {
            Some(items) => field_schema(&items, &FieldRules::of(&schema.pool, &items)?),
            None => field_schema(&field, &rules),
        };
        let text = comment(&field.parent_file(), field.path());
        if !text.is_empty() {
            property["description"] = json!(text);
        }
        if is_required(&field, &rules) {
            required.push(field.name().to_owned());
        }
        properties.insert(field.name().to_owned(), property);
    }
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    let text = comment(&message.parent_file(), message.path());
    if !text.is_empty() {
        object["description"] = json!(text);
    }
    Ok(object)
}

/// The items of a field whose message is an array in JSON.
fn list_of(field: &FieldDescriptor) -> Result<Option<FieldDescriptor>> {
    match field.kind() {
        Kind::Message(message) => items_of(&message),
        _ => Ok(None),
    }
}

/// A field that cannot be left out: one whose default its own rules refuse.
fn is_required(field: &FieldDescriptor, rules: &FieldRules) -> bool {
    let text = &rules.string;
    let refuses_empty = text.min_len.unwrap_or(0) > 0
        || text.email
        || text.uuid
        || !text.one_of.is_empty()
        || text.pattern.is_some();
    let refuses_none = rules.list.min_items.unwrap_or(0) > 0;
    rules.required || (!field.supports_presence() && (refuses_empty || refuses_none))
}

pub fn reference(message: &MessageDescriptor) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", message.name())})
}

pub fn field_schema(field: &FieldDescriptor, rules: &FieldRules) -> Value {
    if field.is_list() {
        let items = rules.items.as_deref().cloned().unwrap_or_default();
        let mut list = json!({"type": "array", "items": single(field, &items)});
        if let Some(min) = rules.list.min_items {
            list["minItems"] = json!(min);
        }
        if let Some(max) = rules.list.max_items {
            list["maxItems"] = json!(max);
        }
        if rules.list.unique {
            list["uniqueItems"] = json!(true);
        }
        return list;
    }
    single(field, rules)
}

fn single(field: &FieldDescriptor, rules: &FieldRules) -> Value {
    match field.kind() {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            json!({"type": ["string", "null"], "format": "date-time"})
        }
        Kind::Message(message) => reference(&message),
        Kind::String => string(&rules.string),
        kind => {
            let (name, format) = match kind {
                Kind::Double => ("number", "double"),
                _ => ("integer", "int32"),
            };
            let mut number = json!({"type": name, "format": format});
            if let Some(min) = rules.number.min {
                number["minimum"] = json!(min);
            }
            if let Some(max) = rules.number.max {
                number["maximum"] = json!(max);
            }
            if field.supports_presence() && !rules.required {
                number["type"] = json!([name, "null"]);
            }
            number
        }
    }
}

fn string(rules: &StringRules) -> Value {
    let mut text = json!({"type": "string"});
    if let Some(len) = rules.min_len {
        text["minLength"] = json!(len);
    }
    if let Some(len) = rules.max_len {
        text["maxLength"] = json!(len);
    }
    if let Some(pattern) = &rules.pattern {
        text["pattern"] = json!(pattern);
    } else if rules.min_len.unwrap_or(0) > 0 {
        // Not only spaces.
        text["pattern"] = json!("\\S");
    }
    if !rules.one_of.is_empty() {
        text["enum"] = json!(rules.one_of);
    }
    if rules.uuid {
        text["format"] = json!("uuid");
    }
    if rules.email {
        text["format"] = json!("email");
    }
    text
}

/// An example of the message: what its rules give, else something that fits.
pub fn example_of(schema: &Schema, message: &MessageDescriptor, without: &[&str]) -> Result<Value> {
    let mut example = Map::new();
    for field in message.fields().filter(|f| !without.contains(&f.name())) {
        let rules = FieldRules::of(&schema.pool, &field)?;
        let value = match field.kind() {
            Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp" => {
                json!("2026-11-21T09:30:00Z")
            }
            Kind::Message(inner) => {
                let example = example_of(schema, &inner, &[])?;
                if items_of(&inner)?.is_some() {
                    example["items"].clone()
                } else {
                    example
                }
            }
            Kind::Bool => json!(true),
            Kind::String => {
                let items = rules
                    .items
                    .as_deref()
                    .map_or(&rules.string, |items| &items.string);
                string_example(field.name(), items)
            }
            _ => json!(rules.number.example.or(rules.number.min).unwrap_or(1)),
        };
        example.insert(
            field.name().to_owned(),
            if field.is_list() { json!([value]) } else { value },
        );
    }
    Ok(Value::Object(example))
}

fn string_example(name: &str, rules: &StringRules) -> Value {
    if let Some(example) = &rules.example {
        return json!(example);
    }
    if let Some(first) = rules.one_of.first() {
        return json!(first);
    }
    let id = name == "id" || name.ends_with("_id") || name.ends_with("_ids") || rules.uuid;
    json!(match name {
        "next_page_token" | "page_token" => "",
        _ if id => "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10",
        _ => "text",
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457 problem document.",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "code": {"type": "string", "description": "Stable; the value to switch on."},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {
                    "field": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"},
                },
            }},
            "missing_prerequisites": {
                "type": "array",
                "description": "Only of `prerequisite_missing`: what has to be completed first. The title is empty where students may not see the course, and while it is not known here.",
                "items": {
                    "type": "object",
                    "required": ["id", "title"],
                    "properties": {"id": {"type": "string", "format": "uuid"}, "title": {"type": "string"}},
                },
            },
        },
    })
}

/// The leading comment of what `path` points at in its file.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|l| l.path == path));
    let text = location
        .and_then(|l| l.leading_comments.as_deref())
        .unwrap_or_default();
    text.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}
