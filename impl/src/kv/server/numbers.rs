//! What a node shows of itself in numbers, whichever page they stand on: its own, or that of a program which
//! the node is a part of.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use serde_json::{Map, Value};

use super::api::report;
use super::{debug_vars, metrics_page};
use crate::kv::request::router::Service;

/// A node's numbers. Where it has stopped or does not answer there are fewer.
#[derive(Clone)]
pub(crate) struct Numbers(pub(crate) Arc<Service>);

impl Numbers {
    pub(crate) async fn add_metrics(&self, registry: &mut Registry) {
        let report = report(&self.0).await.ok();
        metrics_page::add(registry, &self.0.transfers, report.as_ref());
    }

    pub(crate) async fn add_variables(&self, variables: &mut Map<String, Value>) {
        let report = report(&self.0).await.ok();
        debug_vars::add(variables, &self.0.transfers, report.as_ref());
    }
}
