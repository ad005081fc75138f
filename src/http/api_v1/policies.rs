//! Decisions of the rules about tags: of those in force, or of others that are tried out. Nothing is changed.

use axum::body::Body;
use http::request::Parts;
use serde::Deserialize;
use serde_json::json;

use crate::http::api::request::body;
use crate::http::api::request::origin::{self, Unsaid};
use crate::http::api_v1::call::{ApiCall, TriedRules};
use crate::http::api_v1::lists::{Made, check_listed};
use crate::http::api_v1::parameters::PolicyParameters;
use crate::http::response::error::ApiError;
use crate::http::settings::ServerSettings;
use crate::oci::RepositoryName;
use crate::registry::{Registry, Retention};
use crate::report::{self, Viewer};

/// Maximum length of rules that are tried out, in bytes.
const LONGEST: usize = 32 << 10;

/// Rules to try.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesBody {
    rules: String,
}

/// Returns the rules that the body of a call tries out; `None` where it decides by those in force.
///
/// # Errors
/// A malformed body, and mistakes in the rules.
pub(super) async fn rules(
    registry: &Registry,
    settings: &ServerSettings,
    call: &ApiCall,
    head: &Parts,
    body: Body,
) -> Result<Option<Retention>, ApiError> {
    match call {
        ApiCall::Policies {
            rules: TriedRules::Edited,
            ..
        } => {
            origin::check(head, settings, Unsaid::Accepted)?;
            let RulesBody { rules } = body::object(head, body).await?;
            let rules = tried(settings, registry, &rules);
            Ok(Some(rules.map_err(ApiError::Parameter)?))
        }
        _ => Ok(None),
    }
}

/// Puts rules that somebody wrote in the place of those in force.
///
/// # Errors
/// A sentence for each mistake, with its line.
pub(crate) fn tried(
    settings: &ServerSettings,
    registry: &Registry,
    text: &str,
) -> Result<Retention, String> {
    if text.len() > LONGEST {
        return Err(format!(
            "the rules have more than {} KiB: leave out what is not about policies",
            LONGEST >> 10
        ));
    }
    let rules = (settings.rule_reader.0)(text)?;
    Ok(rules.over(&registry.settings().retention))
}

/// Lists the decisions about tags; sums and rules are on the first page.
pub(super) async fn decisions(
    registry: &Registry,
    viewer: &Viewer,
    tried: Option<&Retention>,
    name: Option<&RepositoryName>,
    list: &PolicyParameters,
) -> Result<Made, ApiError> {
    let settings = registry.settings();
    let retention = tried.unwrap_or(&settings.retention);
    let repositories = match name {
        Some(name) => {
            check_listed(registry, name).await?;
            vec![name.clone()]
        }
        None => {
            let places = list.places(viewer.shown.clone())?;
            registry.repositories().names(places).await?
        }
    };
    let query = list.query(repositories)?;
    let place = (list.place()?, list.limit());
    let (preview, next) = report::preview(registry, retention, &query, place, viewer).await?;
    Ok(Made {
        body: json!(preview),
        next,
    })
}
