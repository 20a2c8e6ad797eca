//! What every answer of a node bears: who gives it, and who leads as far as that one knows.

use axum::http::HeaderValue;
use axum::response::Response;
use models::NodeId;

use crate::service::headers;

/// Names the node and its leader in an answer.
pub(crate) fn sign(mut answer: Response, id: NodeId, leader: Option<NodeId>) -> Response {
    let leader = leader.map_or(HeaderValue::from_static("unknown"), |id| id.0.into());
    let fields = answer.headers_mut();
    fields.insert(headers::NODE, id.0.into());
    fields.insert(headers::LEADER, leader);
    answer
}
