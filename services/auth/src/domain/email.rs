//! What makes two spellings of an address the same account.

use unicode_normalization::UnicodeNormalization;

/// The key of an address: NFKC, trimmed, lower case, with the Turkish I's taken for one letter: `ALİ@OKUL.EDU.TR`, `ali@okul.edu.tr`
/// and, from a Turkish keyboard, `alı@okul.edu.tr` sign in to one account.
pub fn key(address: &str) -> String {
    let lower = address.nfkc().flat_map(|c| match c {
        'İ' | 'I' | 'ı' => 'i'.to_lowercase(),
        other => other.to_lowercase(),
    });
    let key: String = lower.nfkc().collect();
    // Last, as some characters are white space only when normalised.
    key.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn turkish_spellings_are_one_account() {
        for spelling in [
            "ALİ@OKUL.EDU.TR",
            "ali@okul.edu.tr",
            " Ali@Okul.edu.tr ",
            "alı@okul.edu.tr",
            "ALI@OKUL.EDU.TR",
        ] {
            assert_eq!(key(spelling), "ali@okul.edu.tr", "{spelling}");
        }
        assert_eq!(key("ｓｕｌｅ@example.edu"), "sule@example.edu");
        assert_eq!(key("\u{1fbd}"), key(&key("\u{1fbd}")));
        assert_ne!(key("şule@example.edu"), key("sule@example.edu"));
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(address in "\\PC{0,40}") {
            let once = key(&address);
            prop_assert_eq!(key(&once), once);
        }

        #[test]
        fn case_does_not_matter(address in "[a-zA-Z0-9.]{1,20}@[a-z]{1,10}\\.com") {
            prop_assert_eq!(key(&address.to_uppercase()), key(&address.to_lowercase()));
        }
    }
}
