//! From proto names to the names that prost gives them.

/// `CreateEnrollment` -> `create_enrollment`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (index, c) in name.char_indices() {
        if c.is_ascii_uppercase() {
            if index > 0 {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// The field's identifier in Rust: a keyword becomes a raw identifier.
pub fn field(name: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "type", "use", "match", "ref", "move", "in", "for", "loop", "fn", "mod", "self", "where",
    ];
    if KEYWORDS.contains(&name) {
        format!("r#{name}")
    } else {
        name.to_owned()
    }
}

/// `sc.auth.v1.User` -> `crate::auth::v1::User`; the well-known types are pbjson's.
pub fn message_path(full_name: &str) -> String {
    if let Some(name) = full_name.strip_prefix("google.protobuf.") {
        return format!("::pbjson_types::{name}");
    }
    let name = full_name.strip_prefix("sc.").unwrap_or(full_name);
    format!("crate::{}", name.replace('.', "::"))
}
