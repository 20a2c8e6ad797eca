//! The thread that writes a recording's files, and deletes the oldest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use models::{NodeId, Protocol};

use super::format::{FIRST_LINE, Header, encode_frame};
use super::{Recorded, RecordingError, folder};
use crate::runtime::metrics::Metrics;

/// What is to be written next.
pub(super) enum Work<P: Protocol> {
    /// A new file, beginning with this entry.
    Begin(Box<Recorded<P>>),
    /// Frames, to be appended to the file.
    Frames(Vec<u8>),
}

pub(super) struct Writer<P: Protocol> {
    pub(super) folder: PathBuf,
    pub(super) header: Header,
    /// How many files are kept.
    pub(super) max_files: usize,
    /// The number of the next file.
    pub(super) next: u64,
    pub(super) work: Receiver<Work<P>>,
    /// How many bytes of frames wait.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) metrics: Arc<Metrics>,
}

impl<P: Protocol> Writer<P> {
    /// Until the recorder is gone, or something fails: then the recorder finds nobody at the other
    /// end.
    pub(super) fn run(mut self) {
        let mut file = None;
        while let Ok(work) = self.work.recv() {
            if let Err(error) = self.write(work, &mut file) {
                tracing::error!(%error, "the recording ends");
                return;
            }
        }
    }

    fn write(
        &mut self,
        work: Work<P>,
        file: &mut Option<(PathBuf, File)>,
    ) -> Result<(), RecordingError> {
        match work {
            Work::Begin(entry) => {
                let path = folder::path(&self.folder, self.node(), self.next);
                let failed = || RecordingError::writing(&path);
                let begun = self.begin(&path, &entry).map_err(failed())?;
                self.next += 1;
                self.delete_oldest().map_err(failed())?;
                *file = Some((path, begun));
                Ok(())
            }
            Work::Frames(frames) => {
                self.waiting.fetch_sub(frames.len(), Ordering::Relaxed);
                let Some((path, file)) = file else {
                    return Ok(());
                };
                self.append(file, &frames)
                    .map_err(RecordingError::writing(path))
            }
        }
    }

    /// What clients said is in it, so it is for nobody else to read.
    fn begin(&self, path: &Path, first: &Recorded<P>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut bytes = FIRST_LINE.to_vec();
        encode_frame(&self.header, &mut bytes)?;
        encode_frame(first, &mut bytes)?;
        self.append(&mut file, &bytes)?;
        Ok(file)
    }

    /// To the operating system, not to the disk: a recording survives the end of its process.
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)?;
        self.metrics.recording_bytes.inc_by(bytes.len() as u64);
        Ok(())
    }

    fn delete_oldest(&self) -> io::Result<()> {
        let numbers = folder::numbers(&self.folder, self.node())?;
        let surplus = numbers.len().saturating_sub(self.max_files);
        for number in numbers.into_iter().take(surplus) {
            match fs::remove_file(folder::path(&self.folder, self.node(), number)) {
                // Somebody has tidied up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn node(&self) -> NodeId {
        self.header.node
    }
}
