//! The actor of a change, as the registry records it.

use http::header::USER_AGENT;
use http::request::Parts;

use crate::auth::Requester;
use crate::http::proxy::client::Client;
use crate::registry::Actor;

/// Returns the actor of a request.
pub(crate) fn actor(head: &Parts) -> Actor {
    let address = Client::address_of(head);
    let name = head
        .extensions
        .get::<Requester>()
        .and_then(|requester| requester.identity().name())
        .map(str::to_owned);
    let credential = head
        .extensions
        .get::<Requester>()
        .and_then(|requester| requester.identity().credential())
        .map(str::to_owned);
    let user_agent = head
        .headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    Actor {
        name,
        credential,
        address: address.map(|address| address.to_string()),
        user_agent: user_agent.map(str::to_owned),
    }
}
