//! Changes of tokens by forms. A secret is shown in the answer, and nowhere else.

use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{Response, StatusCode};

use crate::http::api::request::actor::actor;
use crate::http::api::request::body::Form;
use crate::http::api_v1::changes::make_token;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::ui::answer::reader;
use crate::http::ui::parameters::TokenQuery;
use crate::http::ui::sessions::Door;
use crate::http::ui::{reach, shown};
use crate::registry::Error;
use crate::report::{self, OVERLAP, TokenChangeError, TokenWords};
use crate::ui::{self, NewSecret, TokensPage};

/// Makes a token; a mistake shows the form again.
///
/// # Errors
/// A form that cannot be read, and those of the database.
pub(super) async fn create(
    door: Door<'_>,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let words = TokenQuery::of(&Form::read(body).await?).words();
    match make_token(door.registry, door.access, &words, head).await {
        Ok(made) => {
            let page = TokensPage {
                made: Some(NewSecret::Created(made)),
                words: TokenWords::default(),
                ..TokensPage::default()
            };
            answer(door, head, StatusCode::OK, page).await
        }
        Err(error) => {
            let page = TokensPage {
                fault: Some(said(error)?),
                reach: reach::of(door.registry, head, &words).await?,
                words,
                ..TokensPage::default()
            };
            answer(door, head, StatusCode::BAD_REQUEST, page).await
        }
    }
}

/// Gives a token another secret, or revokes it.
///
/// # Errors
/// An unknown token, a form that says neither, and those of the database.
pub(super) async fn change(
    door: Door<'_>,
    token: &str,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let (registry, actor) = (door.registry, actor(head));
    match Form::read(body).await?.text("change").as_deref() {
        Some("rotate") => {
            let rotated = report::rotate_token(registry, token, OVERLAP, None, actor).await?;
            let page = TokensPage {
                made: Some(NewSecret::Rotated(rotated)),
                ..TokensPage::default()
            };
            answer(door, head, StatusCode::OK, page).await
        }
        Some("revoke") => {
            report::revoke_token(registry, token, actor).await?;
            Ok(builder::empty(StatusCode::SEE_OTHER)
                .header(CACHE_CONTROL, "no-store")
                .location("/ui/tokens")
                .finish())
        }
        _ => Err(ApiError::Parameter(
            "the form says neither rotate nor revoke".to_owned(),
        )),
    }
}

async fn answer(
    door: Door<'_>,
    head: &Parts,
    status: StatusCode,
    page: TokensPage,
) -> Result<Response<Body>, ApiError> {
    let reader = reader(door.access, &door.settings.get(), head, None).await;
    let users = door.access.users().await;
    let page = ui::tokens(door.registry, &reader, TokensPage { users, ..page }).await?;
    Ok(shown::once(status, &page))
}

/// Returns what is wrong with the words of a form.
fn said(error: TokenChangeError) -> Result<String, ApiError> {
    match error {
        TokenChangeError::Words(sentence) => Ok(sentence),
        TokenChangeError::Registry(error @ (Error::TokenName(_) | Error::TokenExists(_))) => {
            Ok(error.to_string())
        }
        other => Err(other.into()),
    }
}
