//! `buf.validate` rules -> `impl Validate`, with the presence semantics of protovalidate: an unset optional field has no faults.

use std::fmt::Write;

use anyhow::{Result, ensure};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::Schema;
use crate::names;
use crate::rules::{FieldRules, StringRules};
use crate::schema::items_of;

pub fn generate(schema: &Schema) -> Result<String> {
    let mut code =
        String::from("use crate::validate::{Faults, ListRules, NumberRules, StringRules, Validate};\n");
    let mut patterns: Vec<String> = Vec::new();
    for message in &schema.messages {
        let body = message_body(schema, message, &mut patterns)?;
        let path = names::message_path(message.full_name());
        let faults = if body.is_empty() { "_faults" } else { "faults" };
        writeln!(
            code,
            "impl Validate for {path} {{ fn validate(&self, {faults}: &mut Faults) {{ {body} }} }}"
        )?;
    }
    for (index, pattern) in patterns.iter().enumerate() {
        writeln!(
            code,
            "static PATTERN_{index}: ::std::sync::LazyLock<Option<::regex::Regex>> = \
             ::std::sync::LazyLock::new(|| ::regex::Regex::new({pattern:?}).ok());"
        )?;
    }
    Ok(code)
}

fn message_body(schema: &Schema, message: &MessageDescriptor, patterns: &mut Vec<String>) -> Result<String> {
    let mut body = String::new();
    for field in message.fields() {
        let rules = FieldRules::of(&schema.pool, &field)?;
        let (name, member) = (field.name(), names::field(field.name()));
        if field.is_list() {
            list(
                &mut body,
                &field,
                &rules,
                (name, &format!("self.{member}")),
                patterns,
            )?;
        } else if let Kind::Message(of) = field.kind() {
            if rules.required {
                write!(body, "faults.required({name:?}, self.{member}.is_some());")?;
            }
            if let Some(items) = items_of(&of)? {
                // An array to whoever sends it: its faults are named as those of one.
                let rules = FieldRules::of(&schema.pool, &items)?;
                write!(body, "if let Some(list) = &self.{member} {{")?;
                list(&mut body, &items, &rules, (name, "list.items"), patterns)?;
                body.push('}');
            } else if of.full_name().starts_with("sc.") {
                write!(
                    body,
                    "if let Some(value) = &self.{member} {{ faults.nested({name:?}, value); }}"
                )?;
            }
        } else {
            if rules.required {
                write!(body, "faults.required({name:?}, self.{member}.is_some());")?;
            }
            let Some(check) = scalar(&field, &rules, &format!("{name:?}"), patterns)? else {
                continue;
            };
            if field.supports_presence() {
                write!(body, "if let Some(value) = &self.{member} {{ {check} }}")?;
            } else {
                write!(body, "{{ let value = &self.{member}; {check} }}")?;
            }
        }
    }
    Ok(body)
}

fn list(
    body: &mut String,
    field: &FieldDescriptor,
    rules: &FieldRules,
    (name, member): (&str, &str),
    patterns: &mut Vec<String>,
) -> Result<()> {
    let of = &rules.list;
    if of.min_items.is_some() || of.max_items.is_some() {
        let (min, max) = (of.min_items.unwrap_or(0), of.max_items);
        let max = max.map_or("usize::MAX".to_owned(), |max| max.to_string());
        write!(
            body,
            "faults.list({name:?}, {member}.len(), ListRules {{ min_items: {min}, max_items: {max} }});"
        )?;
    }
    if of.unique {
        write!(body, "faults.unique({name:?}, &{member});")?;
    }
    let item_name = format!("&format!(\"{name}[{{index}}]\")");
    if let Kind::Message(message) = field.kind() {
        if message.full_name().starts_with("sc.") {
            write!(
                body,
                "for (index, value) in {member}.iter().enumerate() {{ faults.nested({item_name}, value); }}"
            )?;
        }
    } else if let Some(items) = &rules.items
        && let Some(check) = scalar(field, items, &item_name, patterns)?
    {
        write!(
            body,
            "for (index, value) in {member}.iter().enumerate() {{ {check} }}"
        )?;
    }
    Ok(())
}

fn scalar(
    field: &FieldDescriptor,
    rules: &FieldRules,
    name: &str,
    patterns: &mut Vec<String>,
) -> Result<Option<String>> {
    ensure!(
        !rules.required || field.supports_presence(),
        "{}: `required` is for messages and `optional` fields; give a text min_len",
        field.full_name()
    );
    Ok(match field.kind() {
        Kind::String if !rules.string.is_empty() => Some(format!(
            "faults.string({name}, value, &{});",
            string_rules(&rules.string, patterns)
        )),
        Kind::Int32 if !rules.number.is_empty() => {
            let min = rules.number.min.unwrap_or(i64::from(i32::MIN));
            let max = rules.number.max.unwrap_or(i64::from(i32::MAX));
            Some(format!(
                "faults.number({name}, *value, NumberRules {{ min: {min}, max: {max} }});"
            ))
        }
        _ => None,
    })
}

fn string_rules(rules: &StringRules, patterns: &mut Vec<String>) -> String {
    let mut members = Vec::new();
    if let Some(len) = rules.min_len {
        members.push(format!("min_len: {len}"));
    }
    if let Some(len) = rules.max_len {
        members.push(format!("max_len: {len}"));
    }
    if let Some(pattern) = &rules.pattern {
        let index = patterns.iter().position(|p| p == pattern).unwrap_or_else(|| {
            patterns.push(pattern.clone());
            patterns.len() - 1
        });
        members.push(format!("pattern: Some(&PATTERN_{index})"));
    }
    if !rules.one_of.is_empty() {
        members.push(format!("one_of: &{:?}", rules.one_of));
    }
    members.push(format!(
        "email: {}, uuid: {}, ..StringRules::NONE",
        rules.email, rules.uuid
    ));
    format!("StringRules {{ {} }}", members.join(", "))
}
