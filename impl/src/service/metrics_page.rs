//! `/metrics` in Prometheus' text format: what every service's page has.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE, encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::runtime::metrics::Metrics;
use crate::service::logging;

/// A counter for each value of one label.
pub(crate) type CounterByLabel = Family<[(&'static str, &'static str); 1], Counter>;

/// What the page shows, at one moment: what the runtime and the process count, to which the service
/// adds its own.
pub(crate) fn registry(metrics: &Metrics) -> Registry {
    let mut registry = Registry::with_prefix("lockstep");
    metrics.register(&mut registry);
    registry.register(
        "log_lines_dropped",
        "Log lines of the process dropped because nobody read its standard error",
        ConstCounter::new(logging::dropped_lines()),
    );
    registry
}

/// Adds gauges, as (name, help, value).
pub(crate) fn add_gauges(
    registry: &mut Registry,
    gauges: impl IntoIterator<Item = (&'static str, &'static str, u64)>,
) {
    for (name, help, value) in gauges {
        registry.register(name, help, ConstGauge::new(value));
    }
}

/// The page.
pub(crate) fn answer(registry: &Registry) -> Response {
    let mut page = String::new();
    match encode(&mut page, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        // Writing to a string cannot fail; a metric may.
        Err(error) => {
            let text = format!("the metrics cannot be shown: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}
