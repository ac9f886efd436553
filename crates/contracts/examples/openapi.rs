//! Prints the OpenAPI document: `make generate` writes it to docs/openapi.json.

#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn main() {
    print!("{}", contracts::OPENAPI_JSON);
}
