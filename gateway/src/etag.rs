//! Entity tags.

use http::HeaderValue;

/// Weak, as the same answer may travel compressed or not.
pub fn of(body: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    format!("W/\"{}\"", hex::encode(&digest.as_ref()[..16]))
}

/// The weak comparison of RFC 9110, section 8.8.3.2.
pub fn matches(known: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.to_str().is_ok_and(|known| {
        known
            .split(',')
            .any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let tag = of(b"{}");
        let strong = tag.trim_start_matches("W/").to_owned();
        for (known, same) in [
            (tag.clone(), true),
            (strong, true),
            ("*".into(), true),
            ("\"x\"".into(), false),
        ] {
            assert_eq!(
                matches(&HeaderValue::from_str(&known).unwrap(), &tag),
                same,
                "{known}"
            );
        }
        assert!(matches(
            &HeaderValue::from_str(&format!("\"x\", {tag}")).unwrap(),
            &tag
        ));
        assert_ne!(of(b"{}"), of(b"[]"));
    }
}
