//! Build-time generator: annotated proto -> prost messages, tonic stubs, JSON, validation, REST bindings, events and an OpenAPI document.
//!
//! Called by the build script of `contracts`. No protoc is needed: protox compiles the protos.

mod binding;
mod events;
mod messages;
mod names;
mod openapi;
mod rules;
mod schema;
mod validation;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub use schema::Schema;

/// Generates everything from the protos below `proto_root` into `out_dir`.
pub fn generate(proto_root: &Path, out_dir: &Path) -> Result<()> {
    let schema = Schema::read(proto_root)?;
    messages::generate(&schema, out_dir)?;
    let files = [
        ("lists.rs", format_rust(&messages::lists(&schema)?)?),
        ("bindings.rs", format_rust(&binding::generate(&schema)?)?),
        ("validation.rs", format_rust(&validation::generate(&schema)?)?),
        ("events.rs", format_rust(&events::generate(&schema)?)?),
        (
            "openapi.json",
            serde_json::to_string_pretty(&openapi::generate(&schema)?)? + "\n",
        ),
    ];
    for (name, content) in files {
        fs::write(out_dir.join(name), content).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

fn format_rust(code: &str) -> Result<String> {
    let file = syn::parse_file(code).with_context(|| format!("generated code does not parse:\n{code}"))?;
    Ok(prettyplease::unparse(&file))
}
