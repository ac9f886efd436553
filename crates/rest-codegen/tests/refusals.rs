//! What the generator refuses does not build: a contract that says too little, or something that nobody would enforce.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

const POLICY: &str = "option (sc.http.v1.policy) = {auth: AUTH_REQUIRED rate_class: RATE_CLASS_API_READ};";
const GET: &str = r#"option (google.api.http) = {get: "/api/v1/things/{id}"};"#;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Generates from one service with one RPC, whose options and request fields are given; gives what it says, or nothing.
fn generate(options: &str, fields: &str) -> String {
    let (root, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    for folder in ["google", "buf", "sc/http", "sc/events"] {
        copy(&protos.join(folder), &root.path().join(folder));
    }
    fs::create_dir_all(root.path().join("sc/thing/v1")).unwrap();
    let proto = format!(
        r#"syntax = "proto3";
package sc.thing.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "sc/http/v1/policy.proto";
service ThingService {{ rpc GetThing(GetThingRequest) returns (Thing) {{ {options} }} }}
message GetThingRequest {{ {fields} }}
message Thing {{ string id = 1; }}
"#
    );
    fs::write(root.path().join("sc/thing/v1/thing.proto"), proto).unwrap();
    match rest_codegen::generate(root.path(), out.path()) {
        Ok(()) => String::new(),
        Err(fault) => format!("{fault:#}"),
    }
}

const ID: &str = "string id = 1 [(buf.validate.field).string.uuid = true];";

#[test]
fn a_sound_contract_is_generated() {
    assert_eq!(generate(&format!("{GET} {POLICY}"), ID), "");
}

#[test]
fn what_says_too_little_does_not_build() {
    for (options, fields, said) in [
        (GET.to_owned(), ID, "has no (sc.http.v1.policy)"),
        (
            format!("{GET} option (sc.http.v1.policy) = {{rate_class: RATE_CLASS_API_READ}};"),
            ID,
            "who may call it",
        ),
        (
            format!("{GET} option (sc.http.v1.policy) = {{auth: AUTH_REQUIRED}};"),
            ID,
            "no rate_class",
        ),
        (
            format!(
                "{GET} option (sc.http.v1.policy) = {{auth: AUTH_REQUIRED rate_class: RATE_CLASS_API_READ permission: \"all\"}};"
            ),
            ID,
            "is not `what:may`",
        ),
        (
            format!(
                "{GET} option (sc.http.v1.policy) = {{auth: AUTH_PUBLIC rate_class: RATE_CLASS_API_READ permission: \"a:b\"}};"
            ),
            ID,
            "needs AUTH_REQUIRED",
        ),
        (
            "option (sc.http.v1.policy) = {auth: AUTH_SERVICE};".to_owned(),
            ID,
            "say which services may call",
        ),
        (
            format!(
                "{GET} option (sc.http.v1.policy) = {{auth: AUTH_PUBLIC rate_class: RATE_CLASS_API_READ callers: \"exam\"}};"
            ),
            ID,
            "go together",
        ),
        (
            "option (sc.http.v1.policy) = {auth: AUTH_SERVICE callers: \"video-progress\"};".to_owned(),
            ID,
            "in snake case",
        ),
        (
            format!("{GET} {POLICY}"),
            "string name = 1;",
            "is no field of the request",
        ),
        (
            format!("{GET} {POLICY}"),
            "int32 id = 1;",
            "has to be a plain string",
        ),
        (
            format!("{GET} {POLICY}"),
            "string id = 1; repeated string tags = 2;",
            "cannot be a query parameter",
        ),
        (
            format!("{GET} {POLICY}"),
            "string id = 1 [(buf.validate.field).string.hostname = true];",
            "is not supported",
        ),
    ] {
        let fault = generate(&options, fields);
        assert!(fault.contains(said), "{said}: {fault}");
    }
}
