//! The duration of requests by method, route and status.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use metrics::Histogram;

/// What a histogram is found by, beside its route.
type Answer = (&'static str, u16);
type OfRoutes = HashMap<Box<str>, Vec<(Answer, Histogram)>>;

thread_local! {
    // The registry's own lookup hashes and copies every label of every request.
    static KNOWN: RefCell<OfRoutes> = RefCell::default();
}

pub fn record(method: &'static str, route: &str, status: u16, elapsed: Duration) {
    KNOWN.with_borrow_mut(|known| {
        let answer = (method, status);
        if let Some((_, found)) = known
            .get(route)
            .and_then(|of_route| of_route.iter().find(|(known, _)| *known == answer))
        {
            found.record(elapsed);
            return;
        }
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_string()),
        ];
        let made = metrics::histogram!("http_request_seconds", &labels);
        made.record(elapsed);
        known.entry(route.into()).or_default().push((answer, made));
    });
}
