//! HTTP: turns a request into one `Action`, runs it on the registry, and renders the response.
//!
//! No SQL, no path and no rule of the registry lives here.
//!
//! - `server`: listens, limits, drains. `app`: one request from start to end. `endpoint`: every kind of request.
//! - `api`: parsing, authorization and handlers of the distribution API.
//! - `api_v1`: reports as JSON, the same as the command line prints.
//! - `ui`: requests of the page at `/ui/`.
//! - `connection`: sockets, HTTP/1.1 and HTTP/2, zero-copy sending.
//! - `response`: building responses; the one place where an error becomes a status and JSON.
//! - `proxy`: clients behind proxies, and the URLs they are given.
//! - `rates`: how many images a client pulls and pushes in a time.
//! - `observe`: logs, metrics, probes and the debug port. `fuzz`: doors for the fuzz targets in `tests/fuzz`.

mod api;
mod api_v1;
mod app;
mod connection;
mod endpoint;
#[cfg(fuzzing)]
pub mod fuzz;
mod limits;
mod observe;
mod proxy;
mod rates;
mod response;
mod server;
mod settings;
mod ui;

pub use connection::listener::{Address, Listener};
pub use observe::access_log::AccessLog;
pub use observe::debug_server::DebugServer;
pub use observe::monitoring::{Monitor, Monitoring, Reloads};
pub use proxy::base_url::{BaseUrl, ExternalUrl, Locations};
pub use proxy::client::{TrustedProxies, parse_network};
pub use proxy::path_prefix::PathPrefix;
pub use response::extra_headers::ExtraHeaders;
pub use server::Server;
pub use settings::{AnonymousChanges, Limits, LiveSettings, PageSwitch, Rates, ServerSettings};
