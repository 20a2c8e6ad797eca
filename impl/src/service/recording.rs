//! The recording of a service's node, where its configuration wants one.

use std::sync::Arc;

use models::Protocol;

use crate::runtime::driver::NodeBuilder;
use crate::runtime::metrics::Metrics;
use crate::runtime::recording::{FolderRecorder, RecordingError, RecordingOptions};
use crate::service::config::{NodeConfig, ServiceKind};

/// How much of a recording is kept, where nothing is said.
const USUAL_BYTES: u64 = 1 << 30;
/// A recording is kept in so many files: when the next begins, the oldest is deleted.
const FILES: usize = 16;
/// So much may wait to be written to it.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Has the node record what it does, if `config` says where to.
///
/// # Errors
/// When the folder cannot be had.
pub(crate) fn recorded<P: Protocol>(
    builder: NodeBuilder<P>,
    config: &NodeConfig,
    service: ServiceKind,
    metrics: &Arc<Metrics>,
) -> Result<NodeBuilder<P>, RecordingError> {
    let Some(folder) = &config.record else {
        return Ok(builder);
    };
    let bytes = config.record_bytes.unwrap_or(USUAL_BYTES);
    let options = RecordingOptions {
        folder: folder.clone(),
        service: service.to_string(),
        file_bytes: bytes / FILES as u64,
        max_files: FILES,
        max_waiting_bytes: MAX_WAITING_BYTES,
    };
    let recorder = FolderRecorder::open(options, config.id, metrics.clone())?;
    tracing::info!(node = %config.id, folder = %folder.display(), bytes, "what the node does is recorded");
    Ok(builder.recorder(recorder))
}
