//! The module tree of the contracts, and for each RPC a marker type that knows its policy and how it is bound to HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;

use crate::names;
use crate::openapi::FILE_TYPES;
use crate::schema::{Http, Method, Schema, placeholders};

pub fn generate(schema: &Schema) -> Result<String> {
    let mut code = String::new();
    let mut packages: BTreeMap<String, Vec<&Method>> = BTreeMap::new();
    for message in &schema.messages {
        packages.entry(message.package_name().to_owned()).or_default();
    }
    for method in &schema.methods {
        packages
            .entry(method.descriptor.parent_service().package_name().to_owned())
            .or_default()
            .push(method);
    }
    for (package, methods) in &packages {
        write_package(&mut code, package, methods)?;
    }
    let paths: BTreeSet<String> = schema.methods.iter().map(marker_path).collect();
    code += "/// Every RPC there is.\npub static METHODS: &[&crate::Method] = &[";
    for path in &paths {
        write!(code, "<{path} as crate::Rpc>::METHOD,")?;
    }
    write!(
        code,
        "];\n/// The content types of bodies that are files as they are.\npub static FILE_TYPES: &[&str] = &{FILE_TYPES:?};"
    )?;
    code += "\n/// The RPC behind a gRPC path such as `/sc.auth.v1.AuthService/Login`.\n\
             pub fn method(path: &str) -> Option<&'static crate::Method> { match path {";
    for method in &schema.methods {
        write!(
            code,
            "{:?} => Some(<{} as crate::Rpc>::METHOD),",
            grpc_path(method),
            marker_path(method)
        )?;
    }
    code += "_ => None } }\n/// Shows every RPC that is reachable over HTTP to `visitor`.\n\
             pub fn visit_routes(visitor: &mut impl crate::RestVisitor) {";
    for (method, _) in schema.routes() {
        write!(code, "visitor.route::<{}>();", marker_path(method))?;
    }
    code += "}\n";
    Ok(code)
}

fn write_package(code: &mut String, package: &str, methods: &[&Method]) -> Result<()> {
    let parts: Vec<&str> = package.split('.').skip(1).collect();
    for part in &parts {
        write!(code, "pub mod {part} {{")?;
    }
    write!(code, "include!(concat!(env!(\"OUT_DIR\"), \"/{package}.rs\"));")?;
    write!(
        code,
        "include!(concat!(env!(\"OUT_DIR\"), \"/{package}.serde.rs\"));"
    )?;
    if !methods.is_empty() {
        code.push_str("/// A marker type for each RPC.\npub mod rpc {");
        for method in methods {
            write_method(code, method)?;
        }
        code.push('}');
    }
    code.push_str(&"}".repeat(parts.len()));
    Ok(())
}

fn grpc_path(method: &Method) -> String {
    format!(
        "/{}/{}",
        method.descriptor.parent_service().full_name(),
        method.descriptor.name()
    )
}

fn marker_path(method: &Method) -> String {
    let package = method.descriptor.parent_service().package_name().to_owned();
    format!(
        "{}::rpc::{}",
        names::message_path(&package),
        method.descriptor.name()
    )
}

fn write_method(code: &mut String, method: &Method) -> Result<()> {
    let name = method.descriptor.name();
    let request = names::message_path(method.descriptor.input().full_name());
    let response = names::message_path(method.descriptor.output().full_name());
    let policy = &method.policy;
    let permission = Some(&policy.permission).filter(|p| !p.is_empty());
    let location = Some(&policy.location).filter(|l| !l.is_empty());
    let cache = policy.cache.as_ref().map_or("None".to_owned(), |(ttl, per_user, except)| {
        let except = Some(except).filter(|permission| !permission.is_empty());
        format!(
            "Some(crate::CachePolicy {{ ttl_seconds: {ttl}, per_user: {per_user}, except_permission: {except:?} }})"
        )
    });
    let http = method.http.as_ref().map_or("None".to_owned(), |http| {
        let query: Vec<&str> = http.query_fields.iter().map(prost_reflect::FieldDescriptor::name).collect();
        let (verb, path, has_body) = (http.verb, &http.path, http.has_body);
        format!(
            "Some(crate::HttpRule {{ verb: {verb:?}, path: {path:?}, has_body: {has_body}, query: &{query:?} }})"
        )
    });
    write!(
        code,
        "/// `{full}`\n#[derive(Debug, Clone, Copy)] pub struct {name};
         impl crate::Rpc for {name} {{
            type Request = {request};
            type Response = {response};
            const METHOD: &'static crate::Method = &crate::Method {{
                package_service: {service:?}, service: {process:?}, name: {name:?}, path: {path:?},
                policy: crate::Policy {{
                    auth: crate::Auth::{auth}, callers: &{callers:?}, permission: {permission:?}, rate_class: crate::RateClass::{rate},
                    cache: {cache}, success_status: {status}, idempotent: {idempotent}, location: {location:?},
                    sensitive: {sensitive}, max_body_bytes: {max_body}, ignores_body: {ignores_body}, takes_file: {takes_file},
                }},
                http: {http},
            }};
         }}",
        full = method.descriptor.full_name(),
        service = method.descriptor.parent_service().full_name(),
        process = method.process(),
        path = grpc_path(method),
        auth = policy.auth,
        callers = policy.callers,
        rate = policy.rate_class.unwrap_or("ApiRead"),
        status = policy.success_status,
        idempotent = policy.idempotent,
        sensitive = policy.sensitive,
        max_body = policy.max_body_bytes,
        ignores_body = policy.ignores_body,
        takes_file = !policy.file.is_empty(),
    )?;
    if let Some(http) = &method.http {
        write_rest(code, method, http)?;
    }
    Ok(())
}

fn write_rest(code: &mut String, method: &Method, http: &Http) -> Result<()> {
    let name = method.descriptor.name();
    let mutable = if http.path_fields.is_empty() && http.query_fields.is_empty() {
        ""
    } else {
        "mut "
    };
    write!(
        code,
        "impl crate::Rest for {name} {{
            fn bind(input: crate::RestInput<'_>) -> Result<Self::Request, ::problem::Problem> {{"
    )?;
    if !method.policy.file.is_empty() {
        let member = names::field(&method.policy.file);
        write!(
            code,
            "let {mutable}request: Self::Request = if input.is_file {{
                Self::Request {{ {member}: crate::rest::base64(input.body), ..Default::default() }}
            }} else {{ crate::rest::body(input.body)? }};"
        )?;
    } else if http.has_body {
        write!(
            code,
            "let {mutable}request: Self::Request = crate::rest::body(input.body)?;"
        )?;
    } else {
        if !method.policy.ignores_body {
            code.push_str("crate::rest::no_body(input.body)?;");
        }
        write!(code, "let {mutable}request = Self::Request::default();")?;
    }
    for field in &http.path_fields {
        let (text, member) = (field.name(), names::field(field.name()));
        write!(
            code,
            "crate::rest::path({text:?}, input.path, &mut request.{member})?;"
        )?;
    }
    if http.query_fields.is_empty() {
        code.push_str("crate::rest::no_query(input.query)?;");
    } else {
        code.push_str("for (name, value) in crate::rest::query(input.query)? { match name.as_str() {");
        for field in &http.query_fields {
            let (text, member) = (field.name(), names::field(field.name()));
            write!(
                code,
                "{text:?} => crate::rest::parameter(&name, &value, &mut request.{member})?,"
            )?;
        }
        code.push_str("_ => return Err(crate::rest::unknown_parameter(name)), } }");
    }
    code.push_str("crate::Validate::check(&request)?; Ok(request) }");
    if !method.policy.location.is_empty() {
        let template = &method.policy.location;
        let mut format = template.clone();
        let mut arguments = String::new();
        for placeholder in placeholders(template) {
            format = format.replace(&format!("{{{placeholder}}}"), "{}");
            let path: Vec<String> = placeholder.split('.').map(names::field).collect();
            write!(arguments, ", response.{}", path.join(".as_ref()?."))?;
        }
        let response = if arguments.is_empty() {
            "_response"
        } else {
            "response"
        };
        write!(
            code,
            "fn location({response}: &Self::Response) -> Option<String> {{ Some(format!({format:?}{arguments})) }}"
        )?;
    }
    if method.descriptor.output().full_name() == "sc.files.v1.File" {
        code.push_str(
            "fn file(response: &Self::Response) -> Option<&crate::files::v1::File> { Some(response) }",
        );
        if method.descriptor.input().get_field_by_name("part").is_some() {
            code.push_str(
                "fn set_part(request: &mut Self::Request, part: i32) -> bool { request.part = Some(part); true }",
            );
        }
    }
    code.push('}');
    Ok(())
}
