//! `registry webhook resend`.

use serde_json::{Value, json};

use super::arguments::ResendArguments;
use crate::cli::error::Error;
use crate::cli::place::failed;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};

pub(super) async fn run(arguments: ResendArguments) -> Result<(), Error> {
    let (name, event) = (arguments.name, arguments.event);
    if let Some(remote) = arguments.place.server()? {
        let (path, webhook) = (format!("deliveries/{event}"), ("webhook", name.clone()));
        let sent = remote.post::<Value>(&path, &[webhook], &Value::Null).await;
        sent.map_err(failed)?;
    } else {
        let registry = arguments.place.store.open().await?;
        if !registry.outbox().resend(&name, event).await? {
            return Err(Error::Other(format!(
                "{name} has no delivery of event {event}: registry webhook deliveries lists them"
            )));
        }
    }
    match arguments.output.format {
        Format::Text => output::say(&format!("event {event} is sent to {name} again")),
        Format::Json => {
            json::print(&json!({ "webhook": name, "event": event, "state": "waiting" }))
        }
    }
}
