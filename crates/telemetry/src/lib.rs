//! Logs, traces and metrics of a process.

mod logs;
mod numbers;
mod traces;

use serde::Deserialize;

pub use numbers::{install_recorder, metrics_json, metrics_prometheus, upkeep};

/// How a process logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// A level, or a filter such as `info,sqlx=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    Json,
    Pretty,
}

/// Where spans go; nowhere without an endpoint.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSettings {
    /// OTLP over gRPC, such as `http://collector:4317`.
    #[serde(default)]
    pub endpoint: String,
    /// Share of traces that begin here and are recorded, 0 to 1.
    #[serde(default = "everything")]
    pub ratio: f64,
}

fn everything() -> f64 {
    1.0
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level {0:?} is not a filter")]
    Filter(String),
    #[error("the trace exporter could not be made")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("logging was set up before")]
    Twice,
}

/// Sends what is left when it is dropped or [`Guard::flush`]ed.
pub struct Guard {
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Guard {
    /// Waits until the spans are out. Blocks for at most some seconds.
    pub fn flush(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(fault) = provider.shutdown()
        {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "some spans were not sent"
            );
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sets up logs, traces and metrics of this process, once.
pub fn init(
    service: &'static str,
    log: &LogSettings,
    trace: &TraceSettings,
) -> Result<Guard, TelemetryError> {
    install_recorder();
    let provider = traces::provider(service, trace)?;
    logs::install(service, log, provider.as_ref())?;
    Ok(Guard { provider })
}
