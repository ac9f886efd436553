use serde::Serialize;

use crate::app::Auth;

/// What part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Paging<'a> {
    pub size: i64,
    pub token: Option<&'a str>,
}

/// One page of a list; the token is empty on the last one.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_page_token: String,
}

impl<T> Page<T> {
    /// Cuts the one row too many, and makes the token of the next page from the last one shown.
    pub fn cut<K: Serialize>(
        app: &Auth,
        scope: &str,
        mut items: Vec<T>,
        size: i64,
        key: impl Fn(&T) -> K,
    ) -> Self {
        let next_page_token = app.pages.cut(scope, &mut items, size, key);
        Self {
            items,
            next_page_token,
        }
    }
}
