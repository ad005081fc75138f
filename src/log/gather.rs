//! Warnings that are gathered in place of being written.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::event::Said;

#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > Level::WARN {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let fields: String = said
            .fields
            .iter()
            .map(|(key, word)| format!(" {key}={word}"))
            .collect();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{}{fields}", said.message));
    }
}

/// Does `work`, and gives what this thread warns of meanwhile, which is not logged.
pub fn gather<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let warnings = Warnings::default();
    let done = tracing::subscriber::with_default(
        tracing_subscriber::registry().with(warnings.clone()),
        work,
    );
    let said = std::mem::take(&mut *warnings.0.lock().unwrap_or_else(PoisonError::into_inner));
    (done, said)
}

#[cfg(test)]
mod tests {
    #[test]
    fn warnings_are_gathered_and_nothing_else() {
        let (done, said) = super::gather(|| {
            tracing::info!("of no interest");
            tracing::warn!(user = "ann", "take care");
            tracing::error!("gone");
            7
        });
        assert_eq!(
            (done, said),
            (
                7,
                vec!["take care user=\"ann\"".to_owned(), "gone".to_owned()]
            )
        );
    }
}
