//! W3C trace context: `00-<trace id>-<span id>-<flags>`.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// So much of a `tracestate` is carried on: what the specification asks of everybody.
const MAX_STATE: usize = 512;

/// A parsed `traceparent` (W3C Trace Context, level 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    pub trace_id: u128,
    pub span_id: u64,
    pub flags: u8,
}

impl TraceParent {
    /// `None` for anything that the specification calls invalid.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |s: &str, len| {
            s.len() == len
                && s.bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let well_formed =
            lower_hex(version, 2) && lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
        if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let parent = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (parent.trace_id != 0 && parent.span_id != 0).then_some(parent)
    }
}

impl std::fmt::Display for TraceParent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

/// What to send along: the current span where OpenTelemetry is on, else the `traceparent` that came in.
pub fn traceparent() -> Option<String> {
    of_span().or_else(|| crate::with(|context| context.traceparent.as_deref().map(str::to_owned)))
}

/// The current span, where OpenTelemetry is on.
pub(crate) fn of_span() -> Option<String> {
    let span = tracing::Span::current().context().span().span_context().clone();
    span.is_valid().then(|| {
        let parent = TraceParent {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            flags: span.trace_flags().to_u8(),
        };
        parent.to_string()
    })
}

/// The id of the trace that the current work belongs to: of its span, or of the `traceparent` that came in.
pub fn trace_id(incoming: Option<&str>) -> Option<String> {
    let span = tracing::Span::current().context().span().span_context().clone();
    if span.is_valid() {
        return Some(span.trace_id().to_string());
    }
    incoming
        .and_then(|parent| parent.split('-').nth(1))
        .map(str::to_owned)
}

/// A `tracestate` as it goes on: without members at its end where it is too long. `None` for what the specification calls invalid.
pub fn tracestate(text: &str) -> Option<String> {
    let state: TraceState = text.parse().ok()?;
    let mut kept = state.header();
    // The library takes a member without a name, and one `=` for several.
    if text.contains("==") || kept.is_empty() || kept.starts_with('=') || kept.contains(",=") {
        return None;
    }
    while kept.len() > MAX_STATE {
        kept.truncate(kept.rfind(',')?);
    }
    Some(kept)
}

pub(crate) fn set_parent(span: &tracing::Span, traceparent: Option<&str>, tracestate: Option<&str>) {
    let Some(parent) = traceparent.and_then(TraceParent::parse) else {
        return;
    };
    let remote = SpanContext::new(
        TraceId::from(parent.trace_id),
        SpanId::from(parent.span_id),
        TraceFlags::new(parent.flags),
        true,
        tracestate
            .and_then(|state| state.parse::<TraceState>().ok())
            .unwrap_or_default(),
    );
    // Fails only where OpenTelemetry is off, when there is nothing to set.
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(trace_id in 1u128.., span_id in 1u64.., flags: u8) {
            let parent = TraceParent { trace_id, span_id, flags };
            prop_assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = TraceParent::parse(&text);
            let _ = tracestate(&text);
        }
    }

    #[test]
    fn what_the_specification_calls_invalid_is_refused() {
        for text in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
        for text in [
            "", " , ", "a", "=1", "A=1", "a b=1", "a=1=2", "a==1", "a=1,b==2", "a=1,b",
        ] {
            assert_eq!(tracestate(text), None, "{text}");
        }
    }

    #[test]
    fn a_state_goes_on_as_far_as_it_is_short_enough() {
        assert_eq!(
            tracestate("rojo=00f067aa0ba902b7, t@congo=t61,").as_deref(),
            Some("rojo=00f067aa0ba902b7,t@congo=t61")
        );
        let member = |name: &str| format!("{name}={}", "x".repeat(198));
        let whole = [member("a"), member("b"), member("c")].join(",");
        assert_eq!(tracestate(&whole).as_deref(), Some(&whole[..401]));
        assert_eq!(tracestate(&format!("{0}={0}", "x".repeat(256))), None);
    }
}
