//! `checks list`: the catalogue.

use anyhow::Result;
use models::specification::Size;
use serde::Serialize;

use super::{Context, Ending};
use crate::catalogue;
use crate::engine::Kind;

#[derive(Serialize)]
struct ListRow {
    protocol: &'static str,
    model: &'static str,
    size: &'static str,
    nodes: usize,
    /// How many of them are alike.
    alike: usize,
    /// How many parties of clients are alike.
    alike_clients: usize,
    faults: &'static str,
    bounds: &'static str,
    properties: Vec<PropertyRow>,
    purpose: &'static str,
    states: Option<u64>,
    /// The liveness properties that are decided in it.
    liveness: &'static [&'static str],
}

#[derive(Serialize)]
struct PropertyRow {
    name: &'static str,
    kind: Kind,
}

/// Prints every model with its bounds, faults and properties.
///
/// # Errors
/// If the rows cannot be written as JSON.
pub fn run(context: &Context) -> Result<Ending> {
    let rows = rows();
    for row in &rows {
        let states = row
            .states
            .map_or_else(String::new, |states| format!(", {states} states"));
        let alike = match row.alike {
            0 => String::new(),
            alike => format!(" ({alike} alike)"),
        };
        let clients = match row.alike_clients {
            0 => String::new(),
            parties => format!(", {parties} parties of clients alike"),
        };
        context.say(&format!(
            "{:<20} {:<5} {} nodes{alike}{clients}{states}\n  {}\n  faults: {}; bounds: {}\n",
            row.model, row.size, row.nodes, row.purpose, row.faults, row.bounds,
        ));
        if !row.liveness.is_empty() {
            context.say(&format!("  decides: {}\n", row.liveness.join("; ")));
        }
    }
    for protocol in catalogue::protocols() {
        for model in &protocol.fuzzed {
            let row = model.row();
            context.say(&format!(
                "{:<20} fuzz  {} nodes\n  {}\n  faults: {}; bounds: {}\n",
                model.model(),
                row.nodes,
                row.purpose,
                row.faults,
                row.bounds,
            ));
        }
        context.say(&format!("\nproperties of {}\n", protocol.name));
        let properties = protocol.models.first().map(|model| model.properties());
        for (name, kind) in properties.unwrap_or_default() {
            context.say(&format!(
                "  {:<10} {name}\n",
                format!("{kind:?}").to_lowercase()
            ));
        }
    }
    context.print_json(&rows)?;
    Ok(Ending::Well)
}

fn rows() -> Vec<ListRow> {
    let mut rows = Vec::new();
    for protocol in catalogue::protocols() {
        for model in &protocol.models {
            let row = model.row();
            let properties = model.properties().into_iter();
            rows.push(ListRow {
                protocol: protocol.name,
                model: model.model(),
                size: size_name(row.size),
                nodes: row.nodes,
                alike: row.alike,
                alike_clients: row.alike_clients,
                faults: row.faults,
                bounds: row.bounds,
                properties: properties
                    .map(|(name, kind)| PropertyRow { name, kind })
                    .collect(),
                purpose: row.purpose,
                states: row.states,
                liveness: row.decides,
            });
        }
    }
    rows
}

fn size_name(size: Size) -> &'static str {
    match size {
        Size::Gate => "gate",
        Size::Large => "large",
    }
}
