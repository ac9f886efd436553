//! Which passwords are taken (NIST 800-63B-4: length and a list, no rules of composition).

use std::collections::HashSet;
use std::sync::LazyLock;

use problem::Problem;
use unicode_normalization::UnicodeNormalization;

const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 256;
/// What is tried first in Turkey and for this school; the rest is in the list.
const OWN: &[&str] = &[
    "galatasaray",
    "fenerbahce",
    "besiktas",
    "trabzonspor",
    "istanbul34",
    "turkiye1",
    "parola123",
    "sifre123",
    "sifresifre",
    "studentcoaching",
    "student-coaching",
];
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let list = include_str!("../../data/common-passwords.txt").lines();
    list.filter(|line| !line.starts_with('#'))
        .chain(OWN.iter().copied())
        .collect()
});

/// The password in the form that is hashed: two keyboards that write `ü` differently mean the same.
pub fn normalised(password: &str) -> String {
    password.nfkc().collect()
}

/// Refuses what is too short, too long, too common, or the address itself.
pub fn check(field: &str, password: &str, email: &str) -> Result<(), Problem> {
    let normal = normalised(password);
    let length = normal.chars().count();
    if length < MIN_CHARS {
        return Err(Problem::invalid_field(
            field,
            "password.too_short",
            format!("at least {MIN_CHARS} characters"),
        ));
    }
    if length > MAX_CHARS {
        return Err(Problem::invalid_field(
            field,
            "password.too_long",
            format!("at most {MAX_CHARS} characters"),
        ));
    }
    let lower = normal.to_lowercase();
    if COMMON.contains(lower.as_str()) || lower == email.to_lowercase() {
        return Err(Problem::invalid_field(
            field,
            "password.common",
            "is among the first that an attacker tries",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_and_the_common_are_refused() {
        for (password, code) in [
            ("şifre12", Some("password.too_short")),
            ("şifreler", None),
            ("Password123", Some("password.common")),
            ("Galatasaray", Some("password.common")),
            ("Iloveyou1", Some("password.common")),
            ("ada@example.edu", Some("password.common")),
            ("correct horse battery", None),
        ] {
            let problem = check("password", password, "Ada@example.edu").err();
            let found = problem.as_ref().map(|p| p.fields()[0].code.as_ref());
            assert_eq!(found, code, "{password}");
        }
        assert!(COMMON.len() >= 3_000);
        assert!(check("password", &"a1".repeat(128), "x@example.edu").is_ok());
        assert!(check("password", &"a1".repeat(129), "x@example.edu").is_err());
    }
}
