//! A shell over the use cases: parse, call, convert.

pub mod convert;
mod courses;

pub use courses::CatalogGrpc;
