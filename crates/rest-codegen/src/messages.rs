//! Messages, stubs and their JSON, by prost, tonic and pbjson.

use std::path::Path;

use anyhow::Result;

use crate::Schema;

pub fn generate(schema: &Schema, out_dir: &Path) -> Result<()> {
    let mut config = prost_build::Config::new();
    config.out_dir(out_dir);
    tonic_prost_build::configure()
        .out_dir(out_dir)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_well_known_types(true)
        .compile_fds_with_config(schema.file_set.clone(), config)?;
    // snake_case names, and defaults are written out: a client never has to guess what an absent member means.
    pbjson_build::Builder::new()
        .register_descriptors(&schema.descriptors)?
        .out_dir(out_dir)
        .preserve_proto_field_names()
        .emit_fields()
        .build(&[".sc"])?;
    Ok(())
}
