//! The runtime of the generated validation: `buf.validate` rules with stable codes.

use std::sync::LazyLock;

use problem::{FieldError, Problem, codes};
use regex::Regex;

/// A message that knows its rules.
pub trait Validate {
    /// Adds what is wrong to `faults`.
    fn validate(&self, faults: &mut Faults);

    /// 422 with every field at fault, or nothing.
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        self.validate(&mut faults);
        if faults.found.is_empty() {
            Ok(())
        } else if faults.found.iter().any(|fault| fault.field == "page_token") {
            // Whatever is wrong with it: it is none of ours.
            Err(Problem::new(&codes::INVALID_PAGE_TOKEN))
        } else {
            Err(Problem::invalid_fields(faults.found))
        }
    }
}

impl Validate for pbjson_types::Empty {
    fn validate(&self, _faults: &mut Faults) {}
}

/// Rules of a text. Lengths are in code points.
#[derive(Debug, Clone, Copy)]
pub struct StringRules {
    pub min_len: usize,
    pub max_len: usize,
    pub pattern: Option<&'static LazyLock<Option<Regex>>>,
    pub one_of: &'static [&'static str],
    pub email: bool,
    pub uuid: bool,
}

impl StringRules {
    pub const NONE: Self = Self {
        min_len: 0,
        max_len: usize::MAX,
        pattern: None,
        one_of: &[],
        email: false,
        uuid: false,
    };
}

#[derive(Debug, Clone, Copy)]
pub struct NumberRules {
    pub min: i32,
    pub max: i32,
}

#[derive(Debug, Clone, Copy)]
pub struct ListRules {
    pub min_items: usize,
    pub max_items: usize,
}

/// What was found wrong so far, and where the check is.
#[derive(Debug, Default)]
pub struct Faults {
    at: String,
    found: Vec<FieldError>,
}

impl Faults {
    fn add(&mut self, field: &str, code: &'static str, detail: impl Into<String>) {
        let field = if self.at.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.at)
        };
        self.found.push(FieldError {
            field,
            code: code.into(),
            detail: detail.into(),
        });
    }

    pub fn string(&mut self, field: &str, value: &str, rules: &StringRules) {
        // Bytes bound the code points from above, so that most texts need no counting.
        let length = if value.len() < rules.min_len || value.len() > rules.max_len || rules.min_len > 1 {
            value.chars().count()
        } else {
            value.len()
        };
        if length < rules.min_len {
            self.add(
                field,
                "string.min_len",
                format!("at least {} characters", rules.min_len),
            );
        } else if rules.min_len > 0 && value.trim_start().is_empty() {
            // What may not be empty has something to say.
            self.add(field, "string.min_len", "not only spaces");
        }
        if length > rules.max_len {
            // What is too long is looked at no further.
            return self.add(
                field,
                "string.max_len",
                format!("at most {} characters", rules.max_len),
            );
        }
        if rules
            .pattern
            .is_some_and(|pattern| !pattern.as_ref().is_some_and(|p| p.is_match(value)))
        {
            self.add(field, "string.pattern", "does not have the expected form");
        }
        if !rules.one_of.is_empty() && !rules.one_of.contains(&value) {
            self.add(field, "string.in", format!("one of: {}", rules.one_of.join(", ")));
        }
        if rules.uuid && (value.len() != 36 || uuid::Uuid::try_parse(value).is_err()) {
            self.add(field, "string.uuid", "a UUID");
        }
        if rules.email && !is_email(value) {
            self.add(field, "string.email", "an e-mail address");
        }
    }

    pub fn number(&mut self, field: &str, value: i32, rules: NumberRules) {
        if value < rules.min {
            self.add(field, "int32.gte", format!("at least {}", rules.min));
        }
        if value > rules.max {
            self.add(field, "int32.lte", format!("at most {}", rules.max));
        }
    }

    pub fn list(&mut self, field: &str, length: usize, rules: ListRules) {
        if length < rules.min_items {
            self.add(
                field,
                "repeated.min_items",
                format!("at least {} items", rules.min_items),
            );
        }
        if length > rules.max_items {
            self.add(
                field,
                "repeated.max_items",
                format!("at most {} items", rules.max_items),
            );
        }
    }

    pub fn unique(&mut self, field: &str, items: &[String]) {
        let mut seen = std::collections::HashSet::with_capacity(items.len());
        if !items.iter().all(|item| seen.insert(item)) {
            self.add(field, "repeated.unique", "each item once");
        }
    }

    pub fn required(&mut self, field: &str, is_set: bool) {
        if !is_set {
            self.add(field, "required", "has to be set");
        }
    }

    pub fn nested(&mut self, field: &str, message: &impl Validate) {
        let outer = self.at.len();
        if outer > 0 {
            self.at.push('.');
        }
        self.at.push_str(field);
        message.validate(self);
        self.at.truncate(outer);
    }
}

/// The HTML standard's form, with a dot in the domain: what browsers' forms accept, less addresses that no mail reaches.
/// Whether it looks like an address: what the rule `email` demands.
pub fn is_email(value: &str) -> bool {
    static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"^[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\-\p{L}\p{N}]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\-\p{L}\p{N}]+)*@[a-zA-Z0-9\p{L}](?:[a-zA-Z0-9\p{L}-]{0,61}[a-zA-Z0-9\p{L}])?(?:\.[a-zA-Z0-9\p{L}](?:[a-zA-Z0-9\p{L}-]{0,61}[a-zA-Z0-9\p{L}])?)+$",
        )
        .ok()
    });
    FORM.as_ref().is_some_and(|form| form.is_match(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::v1::{PutRoleRequest, RegisterRequest};
    use crate::catalog::v1::{ListCoursesRequest, Prerequisites, UpdateCourseRequest};
    use proptest::prelude::*;

    #[test]
    fn every_rule_has_a_turkish_text() {
        let mut faults = Faults::default();
        let rules = StringRules {
            min_len: 2,
            max_len: 1,
            pattern: Some(&NOTHING),
            one_of: &["a", "b"],
            email: true,
            uuid: true,
        };
        faults.string("text", "", &rules);
        faults.string("text", "long", &rules);
        faults.string("text", "   ", &rules);
        let (none, all) = (i32::MAX, i32::MIN);
        faults.number("number", 0, NumberRules { min: none, max: all });
        let empty = ListRules {
            min_items: 2,
            max_items: 0,
        };
        faults.list("list", 1, empty);
        faults.unique("list", &["a".into(), "a".into()]);
        faults.required("message", false);
        let mut seen: Vec<&str> = Vec::new();
        for fault in &faults.found {
            assert_ne!(problem::turkish::of(&fault.detail), None, "{}", fault.detail);
            seen.push(&fault.code);
        }
        seen.sort_unstable();
        seen.dedup();
        // All that this file can say.
        let source = include_str!("validate.rs");
        let mut known: Vec<&str> = source
            .split("mod tests {")
            .next()
            .unwrap()
            .split('"')
            .filter(|text| {
                ["string.", "int32.", "repeated."]
                    .iter()
                    .any(|kind| text.starts_with(kind))
            })
            .chain(["required"])
            .collect();
        known.sort_unstable();
        known.dedup();
        assert_eq!(seen, known);
    }

    #[test]
    fn a_page_token_that_breaks_a_rule_is_none_of_ours() {
        let request = ListCoursesRequest {
            page_token: Some("x".repeat(5_000)),
            ..ListCoursesRequest::default()
        };
        let problem = request.check().unwrap_err();
        assert_eq!(problem.code().name, "invalid_page_token");
    }

    static NOTHING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^$^x").ok());

    fn codes(message: &impl Validate) -> Vec<(String, String)> {
        let problem = message.check().unwrap_err();
        problem
            .fields()
            .iter()
            .map(|f| (f.field.clone(), f.code.to_string()))
            .collect()
    }

    fn pair(field: &str, code: &str) -> (String, String) {
        (field.to_owned(), code.to_owned())
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let request = RegisterRequest {
            locale: Some("de".into()),
            email: "x@".into(),
            ..RegisterRequest::default()
        };
        assert_eq!(
            codes(&request),
            [
                pair("email", "string.min_len"),
                pair("email", "string.email"),
                pair("password", "string.min_len"),
                pair("full_name", "string.min_len"),
                pair("locale", "string.in"),
            ]
        );
    }

    #[test]
    fn spaces_are_no_text() {
        let request = RegisterRequest {
            email: "ada@example.edu".into(),
            password: " ".repeat(8),
            full_name: " \u{a0}\t".into(),
            ..RegisterRequest::default()
        };
        assert_eq!(
            codes(&request),
            [
                pair("password", "string.min_len"),
                pair("full_name", "string.min_len")
            ]
        );
    }

    #[test]
    fn an_unset_optional_field_has_no_faults() {
        assert!(ListCoursesRequest::default().check().is_ok());
        let request = ListCoursesRequest {
            category_id: Some(String::new()),
            ..ListCoursesRequest::default()
        };
        assert_eq!(codes(&request), [pair("category_id", "string.uuid")]);
    }

    #[test]
    fn items_and_nested_messages_are_named_by_their_path() {
        let course_ids = vec!["nonsense".to_owned(), "nonsense".to_owned()];
        let request = UpdateCourseRequest {
            id: "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10".into(),
            prerequisites: Some(Prerequisites { course_ids }),
            ..UpdateCourseRequest::default()
        };
        assert_eq!(
            codes(&request),
            [
                pair("prerequisites.course_ids", "repeated.unique"),
                pair("prerequisites.course_ids[0]", "string.uuid"),
                pair("prerequisites.course_ids[1]", "string.uuid"),
            ]
        );
    }

    #[test]
    fn lengths_are_counted_in_code_points() {
        let name = "ş".repeat(200);
        let request = RegisterRequest {
            email: "ada@example.edu".into(),
            password: "şşşşşşşş".into(),
            full_name: name.clone(),
            locale: None,
        };
        assert!(request.check().is_ok());
        let longer = RegisterRequest {
            full_name: name + "ş",
            ..request
        };
        assert_eq!(codes(&longer), [pair("full_name", "string.max_len")]);
    }

    #[test]
    fn addresses_are_judged_as_browsers_do() {
        for good in [
            "a@b.co",
            "ada+tag@example.edu",
            "ada.b.c@example.edu",
            "öğrenci@okul.edu.tr",
            "x_y-z@sub.example.museum",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "a b@example.edu",
            "@example.edu",
            "a@-b.com",
            "a@b..com",
            ".a@b.com",
            "a.@b.com",
            "a..b@b.com",
            "a@b.com\n",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_a_check_panic(name in ".*", items in prop::collection::vec(".*", 0..5)) {
            let _ = PutRoleRequest { name, permissions: items, ..PutRoleRequest::default() }.check();
        }
    }
}
