//! The document that is committed is the one that is served.

#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == contracts::OPENAPI_JSON, "run `make generate`");
}
