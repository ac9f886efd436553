//! Turkish for what details say. Their English text is the key, so that whoever makes a problem writes one text alone; `{}` stands
//! for what is filled in.

mod details;
mod files;

use crate::codes;

/// The detail in Turkish; `None` for one that is not in the catalogue, such as a parser's own words.
pub fn of(detail: &str) -> Option<String> {
    let known = texts().find_map(|(english, turkish)| {
        let filled = fitting(english, detail)?;
        let mut parts = turkish.split("{}");
        let mut text = parts.next()?.to_owned();
        for (part, value) in parts.zip(filled) {
            text.push_str(value);
            text.push_str(part);
        }
        Some(text)
    });
    // The report of a file tells the standing text of a code as a detail.
    let of_code = || codes::ALL.iter().find(|code| code.en == detail);
    known.or_else(|| of_code().map(|code| code.tr.to_owned()))
}

/// Those of files come last: `more than {} files` would take what is said more exactly.
fn texts() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    details::TEXTS.iter().chain(files::TEXTS)
}

/// What the detail has in the places of the pattern.
fn fitting<'a>(pattern: &str, detail: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split("{}").peekable();
    let mut rest = detail.strip_prefix(parts.next()?)?;
    let mut filled = Vec::new();
    while let Some(part) = parts.next() {
        // The last part ends the detail; an empty one takes all that is left.
        let at = match parts.peek() {
            Some(_) => rest.find(part)?,
            None => rest.strip_suffix(part)?.len(),
        };
        let (value, after) = rest.split_at_checked(at)?;
        filled.push(value);
        rest = after.strip_prefix(part)?;
    }
    rest.is_empty().then_some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_stays() {
        for (english, turkish) in [
            ("at least 8 characters", Some("en az 8 karakter olmalı")),
            ("at least 8", Some("en az 8 olmalı")),
            ("one of: a, b", Some("şunlardan biri olmalı: a, b")),
            (
                "invalid type: integer `1`, expected a string at line 1 column 12",
                Some("tür yanlış: integer `1` verilmiş, bir metin (string) bekleniyordu: satır 1, sütun 12"),
            ),
            ("a UUID", Some("bir UUID olmalı")),
            (
                "more than 20000 rows; give them in several files",
                Some("20000 satırdan fazla; birkaç dosyaya bölün"),
            ),
            (
                "more than 64 levels of elements",
                Some("64 düzeyden fazla iç içe öğe var"),
            ),
            (
                "All seats of the course are taken.",
                Some("Dersin kontenjanı dolu."),
            ),
            ("a UUID or not", None),
            ("", None),
        ] {
            assert_eq!(of(english).as_deref(), turkish, "{english}");
        }
    }

    #[test]
    fn each_text_is_found_with_its_places() {
        for (number, (english, turkish)) in texts().enumerate() {
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(english), places(turkish), "{english}");
            assert_ne!(english, turkish);
            let known = texts().take(number).any(|(other, _)| other == english);
            assert!(!known, "{english} stands twice");
            let said = english.replace("{}", "7");
            assert_ne!(of(&said), None, "{english}");
        }
    }
}
