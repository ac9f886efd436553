//! When two short answers are the same word.

use unicode_normalization::UnicodeNormalization;

/// Case and space do not matter, and neither does which of the four letters I somebody's keyboard has: `ISPARTA`, `Isparta`,
/// `ısparta` and `isparta` are one.
pub fn fold(text: &str) -> String {
    let lower = text.nfkc().flat_map(|c| match c {
        'İ' | 'I' | 'ı' => 'i'.to_lowercase(),
        other => other.to_lowercase(),
    });
    let normal: String = lower.nfkc().filter(|c| *c != '\u{307}').collect();
    normal.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As typed, but for space and composition.
pub fn fold_exact(text: &str) -> String {
    let normal: String = text.nfkc().collect();
    normal.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn turkish_and_english_keyboards_write_the_same_word() {
        for spelling in ["ISPARTA", "Isparta", "ısparta", "isparta", "  İSPARTA "] {
            assert_eq!(fold(spelling), "isparta", "{spelling}");
        }
        assert_eq!(fold("DNS  server"), fold("dns server"));
        assert_ne!(fold("şule"), fold("sule"));
        assert_ne!(fold_exact("Ankara"), fold_exact("ankara"));
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
