//! Counts the statements that a piece of work sends, so that a test can say how many a request may take.

use std::fmt;
use std::sync::{Arc, Once};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Instrument, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const SQL: &str = "sqlx::query";
const SPAN: &str = "count_queries";

/// The statements of one piece of work, in their order.
#[derive(Debug, Clone, Default)]
pub struct Queries(pub Vec<String>);

impl Queries {
    /// How many there were, without `BEGIN`, `COMMIT` and `ROLLBACK`.
    pub fn count(&self) -> usize {
        let control = |sql: &&String| {
            let starts = ["BEGIN", "SET LOCAL", "SELECT 1; COMMIT", "ROLLBACK"];
            starts.iter().any(|start| sql.starts_with(start))
        };
        self.0.len() - self.0.iter().filter(control).count()
    }
}

/// Runs `work` and tells what it asked the database, also in tasks that it spawned with its span.
pub async fn count_queries<F: Future>(work: F) -> (F::Output, Queries) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let filter = Targets::new()
            .with_target(SQL, Level::DEBUG)
            .with_target(module_path!(), Level::DEBUG);
        let subscriber = tracing_subscriber::registry().with(Recorder.with_filter(filter));
        tracing::subscriber::set_global_default(subscriber).expect("no other subscriber in this process");
    });
    let span = tracing::debug_span!(SPAN);
    let record = span
        .with_subscriber(|(id, dispatch)| {
            let registry = dispatch.downcast_ref::<tracing_subscriber::Registry>()?;
            registry.span(id)?.extensions().get::<Record>().cloned()
        })
        .flatten()
        .expect("the recorder sees its span");
    let value = work.instrument(span).await;
    let queries = record.0.lock().clone();
    (value, queries)
}

#[derive(Clone, Default)]
struct Record(Arc<Mutex<Queries>>);

struct Recorder;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == SPAN
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(Record::default());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != SQL {
            return;
        }
        let mut statement = Statement::default();
        event.record(&mut statement);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(record) = span.extensions().get::<Record>() {
                record.0.lock().0.push(statement.text());
                return;
            }
        }
    }
}

/// sqlx gives a short statement as `summary`, a long one as `db.statement` too.
#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Statement {
    fn text(&self) -> String {
        let text = if self.whole.trim().is_empty() {
            &self.summary
        } else {
            &self.whole
        };
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
