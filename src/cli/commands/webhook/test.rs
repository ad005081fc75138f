//! `registry webhook test`.

use serde_json::json;
use tarkeep::config::{Config, Loaded};
use tarkeep::events::{Descriptor, Event, EventActor, EventKind};
use tarkeep::registry::now;
use tarkeep::webhooks::format::Source;
use tarkeep::webhooks::{Answer, Endpoint, Sender};
use uuid::Uuid;

use super::arguments::TestArguments;
use crate::cli::error::Error;
use crate::cli::from_config::{defaults, webhooks};
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};

/// Digest of nothing that is stored.
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

pub(super) async fn run(arguments: TestArguments) -> Result<(), Error> {
    let file = defaults::configuration(arguments.config);
    let draft = Config::draft(file.as_deref(), std::env::vars_os())?;
    let (Loaded { config, .. }, endpoints) = draft.finish_with(webhooks::settings)?;
    let mut endpoints = endpoints.into_iter();
    let named = endpoints.find(|endpoint: &Endpoint| endpoint.name == arguments.name);
    let endpoint = named.ok_or_else(|| {
        Error::Other(format!(
            "the configuration has no webhook '{}'",
            arguments.name
        ))
    })?;
    let source = Source {
        instance: Uuid::new_v4().to_string(),
        address: String::new(),
        base: config.http.host.clone(),
    };
    let sender = Sender::new(endpoint).map_err(Error::Other)?;
    let answer = sender.send(&event(), &source).await;
    show(&arguments.name, arguments.output.format, &answer)
}

/// A push that did not happen.
fn event() -> Event {
    Event {
        id: 0,
        uuid: Uuid::new_v4().to_string(),
        at: now(),
        kind: EventKind::TagMoved,
        repository: Some("tarkeep/test".to_owned()),
        tag: Some("test".to_owned()),
        target: Some(Descriptor {
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            digest: DIGEST.to_owned(),
            size: 0,
        }),
        former: None,
        from_repository: None,
        references: Vec::new(),
        actor: EventActor::default(),
        request: None,
        detail: Some("a test: nothing was pushed".to_owned()),
    }
}

fn show(name: &str, format: Format, answer: &Answer) -> Result<(), Error> {
    let millis = answer.duration.as_millis();
    if format == Format::Json {
        let object = json!({
            "webhook": name,
            "delivered": answer.is_success,
            "status": answer.status,
            "milliseconds": u64::try_from(millis).unwrap_or(u64::MAX),
            "answer": answer.text,
        });
        json::print(&object)?;
        return if answer.is_success {
            Ok(())
        } else {
            Err(Error::Reported)
        };
    }
    let said = match answer.status {
        Some(status) => format!("{name} answered {status} in {millis} ms: {}", answer.text),
        None => format!("{name} did not answer: {}", answer.text),
    };
    let said = said.trim_end_matches([' ', ':']);
    if answer.is_success {
        output::say(said)
    } else {
        Err(Error::Other(said.to_owned()))
    }
}
