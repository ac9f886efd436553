//! What people are called.

use problem::Problem;

/// A name without the white space around it; something has to be left.
pub fn trimmed(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Problem::invalid_field(
            "full_name",
            "string.min_len",
            "has to be at least 1 character",
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_alone_is_no_name() {
        assert_eq!(trimmed("  Ada Yılmaz\u{a0}").unwrap(), "Ada Yılmaz");
        assert!(trimmed(" \t\u{2003}").is_err());
    }
}
