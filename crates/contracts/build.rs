//! Generates the contracts from the protos.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = PathBuf::from("../../proto");
    println!("cargo::rerun-if-changed={}", protos.display());
    let out_dir = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    rest_codegen::generate(&protos, &PathBuf::from(out_dir))?;
    Ok(())
}
