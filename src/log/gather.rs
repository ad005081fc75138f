//! Collection of warnings instead of logging them.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::event::EventText;

#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > Level::WARN {
            return;
        }
        let mut recorded = EventText::default();
        event.record(&mut recorded);
        let fields: String = recorded
            .fields
            .iter()
            .map(|(key, value)| format!(" {key}={value}"))
            .collect();
        self.0.lock().push(format!("{}{fields}", recorded.message));
    }
}

/// Runs `work` and returns this thread's warnings and errors meanwhile, which are not logged.
pub fn gather<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let collected = Warnings::default();
    let outcome = tracing::subscriber::with_default(
        tracing_subscriber::registry().with(collected.clone()),
        work,
    );
    let warnings = std::mem::take(&mut *collected.0.lock());
    (outcome, warnings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_warnings_are_collected() {
        let (outcome, warnings) = super::gather(|| {
            tracing::info!("of no interest");
            tracing::warn!(user = "ann", "take care");
            tracing::error!("gone");
            7
        });
        assert_eq!(
            (outcome, warnings),
            (
                7,
                vec!["take care user=\"ann\"".to_owned(), "gone".to_owned()]
            )
        );
    }
}
