//! `/log-level`: what this process logs, shown and changed while it runs.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::service::logging;

/// Where it is.
pub(crate) const PATH: &str = "/log-level";

/// `GET` shows the level; `PUT`, with another as the body, changes it until the process ends.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(PATH, get(show).put(change))
}

async fn show() -> Response {
    match logging::level() {
        Some(level) => format!("{level}\n").into_response(),
        None => (
            StatusCode::NOT_FOUND,
            "this process has no log of its own\n",
        )
            .into_response(),
    }
}

async fn change(level: String) -> Response {
    match logging::set_level(level.trim()) {
        Ok(before) => format!("{}, which was {before}\n", level.trim()).into_response(),
        Err(words) => {
            let words = format!("{words}; nothing was changed\n");
            (StatusCode::BAD_REQUEST, words).into_response()
        }
    }
}
