//! A recorder that hands what it sees to a thread, which writes it to a folder.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use models::{Effect, Input, Node, NodeId, Protocol};

use super::format::{Header, encode_frame};
use super::writer::{Work, Writer};
use super::{Record, Recorded, Recorder, RecordingError, folder};
use crate::runtime::metrics::Metrics;

/// Where a recording goes, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingOptions {
    /// The folder. It is made if it is not there. Recordings of several nodes may be in it.
    pub folder: PathBuf,
    /// The service's name.
    pub service: String,
    /// A new file is begun when one has so many bytes of entries after its first.
    pub file_bytes: u64,
    /// So many files are kept; at least 1.
    pub max_files: usize,
    /// So many bytes of entries may wait to be written. When there would be more, the recording is
    /// interrupted.
    pub max_waiting_bytes: usize,
}

/// Records to a folder. An error ends the recording, not the node.
#[derive(Debug)]
pub struct FolderRecorder<P: Protocol> {
    options: RecordingOptions,
    /// `None` when the recording has ended.
    work: Option<Sender<Work<P>>>,
    writer: Option<JoinHandle<()>>,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    /// The frames of the batch that is being stepped.
    batch: Vec<u8>,
    /// How many steps those are.
    batch_steps: u64,
    /// How many bytes the file has got.
    file_bytes: u64,
    /// Whether what comes is left out until there is room.
    is_interrupted: bool,
    /// How many steps have been left out.
    left_out: u64,
}

impl<P: Protocol> FolderRecorder<P> {
    /// A recording of `node`. What is in the folder already is kept, as far as it is not too
    /// many files.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or there is no thread to be had.
    pub fn open(
        options: RecordingOptions,
        node: NodeId,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RecordingError> {
        let failed = || RecordingError::opening(&options.folder);
        fs::create_dir_all(&options.folder).map_err(failed())?;
        let numbers = folder::numbers(&options.folder, node).map_err(failed())?;
        let (work, taken) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = Writer {
            folder: options.folder.clone(),
            header: Header {
                service: options.service.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                node,
            },
            max_files: options.max_files.max(1),
            next: numbers.last().map_or(1, |last| last + 1),
            work: taken,
            waiting: waiting.clone(),
            metrics: metrics.clone(),
        };
        let thread = thread::Builder::new().name("recording".to_owned());
        let writer = thread.spawn(|| writer.run()).map_err(failed())?;
        Ok(Self {
            options,
            work: Some(work),
            writer: Some(writer),
            waiting,
            metrics,
            batch: Vec::new(),
            batch_steps: 0,
            file_bytes: 0,
            is_interrupted: false,
            left_out: 0,
        })
    }

    fn begin(&mut self, entry: Recorded<P>) {
        self.file_bytes = 0;
        self.is_interrupted = false;
        self.send(Work::Begin(Box::new(entry)));
    }

    fn begin_with(&mut self, at: Duration, node: &Node<P>) {
        let entry = Recorded::Continued {
            at,
            durable: node.durable().clone(),
            volatile: node.volatile.clone(),
            left_out: self.left_out,
        };
        self.begin(entry);
    }

    fn send(&mut self, work: Work<P>) {
        // The writer has said why it ended.
        if let Some(sender) = &self.work
            && sender.send(work).is_err()
        {
            self.work = None;
        }
    }

    /// Leaves the batch out: it does not fit into what may wait.
    fn interrupt(&mut self) {
        if !self.is_interrupted {
            tracing::warn!("the recording's disk does not keep up: there will be a gap");
            self.metrics.recording_gaps.inc();
        }
        self.is_interrupted = true;
        self.left_out += self.batch_steps;
        self.batch.clear();
    }
}

impl<P: Protocol> Recorder<P> for FolderRecorder<P> {
    fn booted(&mut self, at: Duration, durable: &P::Durable, effects: &[Effect<P>]) {
        self.begin(Recorded::Booted {
            at,
            durable: durable.clone(),
            effects: effects.to_vec(),
        });
    }

    fn stepped(
        &mut self,
        at: Duration,
        input: &Input<P>,
        records: &[Record<P>],
        effects: &[Effect<P>],
    ) {
        if self.work.is_none() {
            return;
        }
        self.batch_steps += 1;
        if self.is_interrupted {
            return;
        }
        let entry = Recorded::<P>::Stepped {
            at,
            input: input.clone(),
            records: records.to_vec(),
            effects: effects.to_vec(),
        };
        if let Err(error) = encode_frame(&entry, &mut self.batch) {
            let error = RecordingError::writing(&self.options.folder)(error);
            tracing::error!(%error, "the recording ends");
            self.work = None;
        }
    }

    fn flush(&mut self, at: Duration, node: &Node<P>) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if self.is_interrupted && waiting == 0 {
            self.left_out += self.batch_steps;
            self.begin_with(at, node);
        } else if self.is_interrupted || waiting + self.batch.len() > self.options.max_waiting_bytes
        {
            self.interrupt();
        } else if !self.batch.is_empty() {
            let frames = std::mem::take(&mut self.batch);
            self.waiting.fetch_add(frames.len(), Ordering::Relaxed);
            self.file_bytes += frames.len() as u64;
            self.send(Work::Frames(frames));
            if self.file_bytes >= self.options.file_bytes {
                self.begin_with(at, node);
            }
        }
        self.batch_steps = 0;
    }
}

/// All that has been handed over is written, or could not be.
impl<P: Protocol> Drop for FolderRecorder<P> {
    fn drop(&mut self) {
        self.work = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has ended, which is all that is waited for.
            drop(writer.join());
        }
    }
}
