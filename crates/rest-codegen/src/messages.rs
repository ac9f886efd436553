//! Messages, stubs and their JSON, by prost, tonic and pbjson.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use crate::Schema;
use crate::names;
use crate::schema::items_of;

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
    // snake_case names, and defaults are written out: a client never has to guess what an absent member means.
    pbjson_build::Builder::new()
        .register_descriptors(&schema.descriptors)?
        .out_dir(out_dir)
        .preserve_proto_field_names()
        .emit_fields()
        .exclude(lists)
        .build(&[".sc"])?;
    Ok(())
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
