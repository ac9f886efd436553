//! Page tokens: where a list goes on, sealed so that a client can neither read meaning into them nor make one up.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use problem::{Problem, codes};
use serde::Serialize;
use serde::de::DeserializeOwned;

const TAG_BYTES: usize = 16;
const DEFAULT_SIZE: i32 = 20;
const MAX_SIZE: i32 = 100;

/// How many rows a page holds: 1 to 100, 20 when the client does not say.
pub fn page_size(wanted: Option<i32>) -> i64 {
    i64::from(wanted.unwrap_or(DEFAULT_SIZE).clamp(1, MAX_SIZE))
}

/// Seals and opens page tokens. All processes that serve a list share the secret.
#[derive(Debug, Clone)]
pub struct PageTokens {
    key: hmac::Key,
}

impl PageTokens {
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// A token for the page after `cursor`. `scope` names the list and its filters: the token opens there alone.
    pub fn seal<C: Serialize>(&self, scope: &str, cursor: &C) -> String {
        // A cursor is made of numbers, texts and ids, which always serialise.
        let content = serde_json::to_vec(cursor).unwrap_or_default();
        let mut bytes = self.tag(scope, &content).as_ref()[..TAG_BYTES].to_vec();
        bytes.extend_from_slice(&content);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor in a token; `None` for the first page. A token that is not ours, or of another list, is refused.
    pub fn open<C: DeserializeOwned>(&self, scope: &str, token: Option<&str>) -> Result<Option<C>, Problem> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        self.read(scope, token)
            .map(Some)
            .ok_or_else(|| Problem::new(&codes::INVALID_PAGE_TOKEN))
    }

    /// Cuts the one row too many off a page, if it was there, and seals where the next page begins; empty on the last one.
    pub fn cut<T, C: Serialize>(
        &self,
        scope: &str,
        rows: &mut Vec<T>,
        size: i64,
        cursor: impl Fn(&T) -> C,
    ) -> String {
        let size = usize::try_from(size).unwrap_or_default();
        let more = rows.len() > size;
        rows.truncate(size);
        match rows.last() {
            Some(last) if more => self.seal(scope, &cursor(last)),
            _ => String::new(),
        }
    }

    fn read<C: DeserializeOwned>(&self, scope: &str, token: &str) -> Option<C> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, content) = bytes.split_at_checked(TAG_BYTES)?;
        let expected = self.tag(scope, content);
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, &expected.as_ref()[..TAG_BYTES]).ok()?;
        serde_json::from_slice(content).ok()
    }

    fn tag(&self, scope: &str, content: &[u8]) -> hmac::Tag {
        let mut signing = hmac::Context::with_key(&self.key);
        signing.update(scope.as_bytes());
        signing.update(&[0]);
        signing.update(content);
        signing.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_opens_in_its_own_list_alone(scope in "[a-z:]{0,20}", other in "[a-z:]{0,20}", cursor: (u64, String)) {
            let tokens = PageTokens::new(b"secret");
            let token = tokens.seal(&scope, &cursor);
            prop_assert_eq!(tokens.open(&scope, Some(&token)).unwrap(), Some(cursor));
            if scope != other {
                prop_assert!(tokens.open::<(u64, String)>(&other, Some(&token)).is_err());
            }
        }

        #[test]
        fn a_tampered_token_is_refused(cursor: u64, at in 0usize..40, to in "[A-Za-z0-9_-]") {
            let tokens = PageTokens::new(b"secret");
            let token = tokens.seal("list", &cursor);
            let mut tampered = token.clone();
            let at = at % token.len();
            tampered.replace_range(at..=at, &to);
            prop_assume!(URL_SAFE_NO_PAD.decode(&tampered).ok() != URL_SAFE_NO_PAD.decode(&token).ok());
            prop_assert_eq!(tokens.open::<u64>("list", Some(&tampered)).unwrap_err().code(), &codes::INVALID_PAGE_TOKEN);
        }

        #[test]
        fn no_text_makes_opening_panic(text in ".*") {
            let _ = PageTokens::new(b"secret").open::<u64>("list", Some(&text));
        }
    }

    #[test]
    fn no_token_is_the_first_page() {
        let tokens = PageTokens::new(b"secret");
        assert_eq!(tokens.open::<u64>("list", None).unwrap(), None);
        assert_eq!(tokens.open::<u64>("list", Some("")).unwrap(), None);
    }
}
