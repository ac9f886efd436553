//! Moodle's short answers: `*` stands for any text, `\*` for a star.

use crate::problem::Problem;

/// The one text that a pattern stands for.
pub(crate) fn literal(pattern: &str) -> Result<String, Problem> {
    let text = pattern.replace("\\*", "\u{0}");
    if text.contains('*') {
        return Err(Problem::unsupported("a short answer with a wildcard"));
    }
    Ok(text.replace('\u{0}', "*"))
}

pub(crate) fn pattern(text: &str) -> String {
    text.replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_survive() {
        for text in ["*", "a*b", "\\*", "\\\\**", "a"] {
            assert_eq!(literal(&pattern(text)).unwrap(), text);
        }
        assert!(literal("Nazar*th").is_err());
    }
}
