//! Messages, stubs and their JSON, by prost, tonic and pbjson.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use crate::Schema;
use crate::names;
use crate::schema::items_of;

/// The package of what travels between services.
const EVENTS: &str = ".sc.events";

pub fn generate(schema: &Schema, out_dir: &Path) -> Result<()> {
    let mut config = prost_build::Config::new();
    config.out_dir(out_dir);
    tonic_prost_build::configure()
        .out_dir(out_dir)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_well_known_types(true)
        .compile_fds_with_config(schema.file_set.clone(), config)?;
    let mut lists = Vec::new();
    for message in &schema.messages {
        if items_of(message)?.is_some() {
            lists.push(format!(".{}", message.full_name()));
        }
    }
    json(schema, out_dir)?
        .exclude([EVENTS])
        .exclude(lists)
        .build(&[".sc"])?;
    // What a client sends must be known; an event may come from a newer version, whose members are news to nobody here.
    json(schema, out_dir)?.ignore_unknown_fields().build(&[EVENTS])?;
    Ok(())
}

/// snake_case names, and defaults are written out: a client never has to guess what an absent member means.
fn json(schema: &Schema, out_dir: &Path) -> Result<pbjson_build::Builder> {
    let mut builder = pbjson_build::Builder::new();
    builder
        .register_descriptors(&schema.descriptors)?
        .out_dir(out_dir)
        .preserve_proto_field_names()
        .emit_fields();
    Ok(builder)
}

/// JSON of the messages that are arrays.
pub fn lists(schema: &Schema) -> Result<String> {
    let mut code = String::new();
    for message in &schema.messages {
        if items_of(message)?.is_none() {
            continue;
        }
        let path = names::message_path(message.full_name());
        write!(
            code,
            "impl ::serde::Serialize for {path} {{
                fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{
                    ::serde::Serialize::serialize(&self.items, serializer)
                }}
            }}
            impl<'de> ::serde::Deserialize<'de> for {path} {{
                fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{
                    Ok(Self {{ items: ::serde::Deserialize::deserialize(deserializer)? }})
                }}
            }}"
        )?;
    }
    Ok(code)
}
