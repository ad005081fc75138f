//! The actor of a change, as the registry records it.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{Extensions, HeaderMap};

use crate::auth::Requester;
use crate::events::EventRequest;
use crate::http::proxy::client::Client;
use crate::registry::Actor;

/// Maximum length of a user agent that is kept, in bytes.
const LONGEST_USER_AGENT: usize = 1000;

/// Returns the actor of a request.
pub(crate) fn actor(head: &Parts) -> Actor {
    of(&head.headers, &head.extensions)
}

/// Returns the actor of a request with these headers.
pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions) -> Actor {
    let address = extensions.get::<Client>().and_then(|client| client.address);
    let identity = extensions.get::<Requester>().map(Requester::identity);
    let name = identity.and_then(|identity| identity.name());
    let credential = identity.and_then(|identity| identity.credential());
    let user_agent = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        // all of it is ASCII
        .map(|agent| &agent[..agent.len().min(LONGEST_USER_AGENT)]);
    Actor {
        name: name.map(str::to_owned),
        credential: credential.map(str::to_owned),
        address: address.map(|address| address.to_string()),
        user_agent: user_agent.map(str::to_owned),
        request: extensions.get::<Arc<EventRequest>>().cloned(),
        is_rule: false,
    }
}
