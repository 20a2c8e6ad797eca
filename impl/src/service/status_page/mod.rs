//! A page for people that shows a cluster live, and what it asks for: what all nodes say of
//! themselves, by way of one.

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde::Serialize;

use crate::service::cluster_status::NodeStatus;

/// Where the page asks what all nodes say.
pub(crate) const CLUSTER_PATH: &str = "/cluster";

/// A cluster, as one of its nodes has heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterPage {
    /// Its name.
    pub cluster: String,
    /// The node that has asked the others.
    pub asked: u16,
    /// What each says.
    pub nodes: Vec<NodeStatus>,
}

/// The page, at `path`. It holds nothing of the cluster itself.
pub(crate) fn routes_at<S: Clone + Send + Sync + 'static>(path: &str) -> Router<S> {
    assets().route(path, get(|| async { page() }))
}

/// The page itself.
pub(crate) fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

/// What the page is made of beside itself.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    parts().route(
        "/status-page/page.js",
        get(|| async { script(include_str!("page.js")) }),
    )
}

/// What other pages for people are made of as well.
pub(crate) fn parts<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let styles = || async { with_type("text/css; charset=utf-8", include_str!("page.css")) };
    Router::new()
        .route("/status-page/page.css", get(styles))
        .route(
            "/status-page/parts.js",
            get(|| async { script(include_str!("parts.js")) }),
        )
}

/// A page's script.
pub(crate) fn script(text: &'static str) -> impl IntoResponse {
    with_type("text/javascript; charset=utf-8", text)
}

/// Whether anybody may have what is at `path`, whatever the tokens.
pub(crate) fn is_open(path: &str) -> bool {
    path == "/" || path.starts_with("/status-page/")
}

fn with_type(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}
