//! Texts as search and addresses see them.

/// As `catalog.fold_turkish` in the database: one spelling for dotted and dotless I, and for letters that a foreign keyboard lacks.
pub fn fold(text: &str) -> String {
    text.chars().map(plain).flat_map(char::to_lowercase).collect()
}

fn plain(c: char) -> char {
    match c {
        'İ' | 'I' | 'ı' | 'Î' | 'î' => 'i',
        'Ş' | 'ş' => 's',
        'Ç' | 'ç' => 'c',
        'Ğ' | 'ğ' => 'g',
        'Ö' | 'ö' => 'o',
        'Ü' | 'ü' | 'Û' | 'û' => 'u',
        'Â' | 'â' => 'a',
        other => other,
    }
}

/// `Bilgisayar Mühendisliği` -> `bilgisayar-muhendisligi`; what a name of symbols alone has is its code points.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in fold(name).chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        return name
            .chars()
            .map(|c| format!("{:x}", u32::from(c)))
            .collect::<Vec<_>>()
            .join("-");
    }
    slug.to_owned()
}

/// Text without HTML tags and with the usual entities decoded: descriptions of other catalogues come as HTML.
pub fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                text.push(' ');
            }
            _ if !in_tag => text.push(c),
            _ => {}
        }
    }
    let entities = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let decoded = entities
        .iter()
        .fold(text, |text, (entity, plain)| text.replace(entity, plain));
    decoded
        .replace('\0', "")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_istanbul_are_one() {
        for spelling in [
            "İstanbul",
            "istanbul",
            "ISTANBUL",
            "Istanbul",
            "ıstanbul",
            "İSTANBUL",
        ] {
            assert_eq!(fold(spelling), "istanbul", "{spelling}");
        }
        assert_eq!(fold("Türev ÇÖĞÜŞ"), "turev cogus");
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("Bilgisayar Mühendisliği (İÖ)"), "bilgisayar-muhendisligi-io");
        assert_eq!(slug("!?"), "21-3f");
    }

    #[test]
    fn tags_go_and_text_stays() {
        assert_eq!(
            without_tags("<p>Fish &amp; Chips</p><p>a &lt; b</p>"),
            "Fish & Chips a < b"
        );
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,60}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }
    }
}
