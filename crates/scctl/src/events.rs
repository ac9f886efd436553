use anyhow::Result;
use clap::Subcommand;
use event_bus::Envelope;
use serde::Serialize;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use crate::output::Output;
use crate::target::Target;

#[derive(Subcommand)]
pub enum Action {
    /// Print events as they pass, one a line.
    Tail {
        /// Only these types; `*` stands for a word, `#` for several.
        #[arg(long = "type", default_value = "#")]
        types: Vec<String>,
        /// Stop after so many.
        #[arg(long)]
        count: Option<usize>,
    },
}

/// An event for display.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub id: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub subject: String,
    pub time: String,
    pub trace_id: Option<String>,
    pub request_id: Option<String>,
    pub payload: Value,
}

impl Shown {
    pub fn new(envelope: Envelope, payload: &[u8]) -> Self {
        Self {
            id: envelope.id.to_string(),
            event_type: envelope.event_type,
            subject: envelope.subject,
            time: envelope.occurred_at.format(&Rfc3339).unwrap_or_default(),
            trace_id: envelope.traceparent.as_deref().and_then(trace_id),
            request_id: envelope.request_id,
            payload: readable(payload),
        }
    }
}

/// The second part of a `traceparent`.
fn trace_id(traceparent: &str) -> Option<String> {
    traceparent.split('-').nth(1).map(str::to_owned)
}

/// The payload without one-time tokens, which open accounts; as text where it is no JSON.
pub fn readable(payload: &[u8]) -> Value {
    let Ok(mut value) = serde_json::from_slice::<Value>(payload) else {
        return Value::String(String::from_utf8_lossy(payload).into_owned());
    };
    if let Some(token) = value.get_mut("token") {
        *token = Value::String("(hidden)".to_owned());
    }
    value
}

pub async fn run(target: &Target, output: Output, action: Action) -> Result<()> {
    let Action::Tail { types, count } = action;
    let mut left = count.unwrap_or(usize::MAX);
    let ready = || {
        #[expect(clippy::print_stderr, reason = "not among the events")]
        {
            eprintln!("listening");
        }
    };
    let see = |envelope: Envelope, payload: &[u8]| {
        let event = Shown::new(envelope, payload);
        match output {
            Output::Table => println!(
                "{} {} {} {} {}",
                event.time, event.event_type, event.subject, event.id, event.payload
            ),
            Output::Json => println!("{}", serde_json::to_string(&event).unwrap_or_default()),
        }
        left -= 1;
        left > 0
    };
    Ok(target.bus()?.tail(&types, ready, see).await?)
}
