//! Log lines: JSON for machines, one event a line; readable on a terminal.

use std::fmt;
use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::{LogFormat, LogSettings, TelemetryError};

pub fn install(
    service: &'static str,
    settings: &LogSettings,
    provider: Option<&SdkTracerProvider>,
) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(&settings.level).map_err(|_| TelemetryError::Filter(settings.level.clone()))?;
    let pretty = match settings.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stdout().is_terminal(),
    };
    let lines = tracing_subscriber::fmt::layer();
    let lines = if pretty {
        lines.compact().with_filter(filter).boxed()
    } else {
        // What the span of a request would say is in its context. Where traces are off nobody wants it then, and it costs nothing.
        let of_requests = ["http", "grpc"];
        lines
            .event_format(JsonLines { service })
            .fmt_fields(tracing_subscriber::fmt::format::JsonFields::new())
            .with_filter(filter_fn(move |metadata| {
                metadata.is_event() || !of_requests.contains(&metadata.name())
            }))
            .with_filter(filter)
            .boxed()
    };
    let spans = provider.map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("student-coaching"))
            // The exporter's own calls must not be traced, or each export would cause the next.
            .with_filter(EnvFilter::new(
                "info,h2=off,hyper=off,tonic=off,tower=off,reqwest=off,opentelemetry=off",
            ))
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines)
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}

/// `{"time","level","service","target","message",...fields,...fields of the spans,"request_id","trace_id","user_id"}`.
struct JsonLines {
    service: &'static str,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        spans: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("time".into(), json!(time));
        line.insert("level".into(), json!(metadata.level().as_str()));
        line.insert("service".into(), json!(self.service));
        line.insert("target".into(), json!(metadata.target()));
        event.record(&mut Members(&mut line));
        // From the outermost span to the innermost: what is nearer wins.
        for span in spans
            .event_scope()
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            let extensions = span.extensions();
            let fields = extensions
                .get::<FormattedFields<N>>()
                .map(|fields| fields.fields.as_str());
            if let Some(Ok(Value::Object(fields))) = fields.map(serde_json::from_str) {
                for (name, value) in fields {
                    line.entry(name).or_insert(value);
                }
            }
        }
        let context = request_context::current();
        if let Some(id) = context.user_id {
            line.entry("user_id").or_insert_with(|| json!(id.to_string()));
        }
        if let Some(id) = context.request_id {
            line.entry("request_id").or_insert_with(|| json!(&*id));
        }
        if let Some(trace) = request_context::trace_id(context.traceparent.as_deref()) {
            line.entry("trace_id").or_insert_with(|| json!(trace));
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Members<'a>(&'a mut Map<String, Value>);

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), json!(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        self.0.insert(field.name().into(), json!(text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), json!(format!("{value:?}")));
    }
}
