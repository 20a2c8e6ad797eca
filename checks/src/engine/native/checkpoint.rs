//! A search kept in a file, to go on from later.
//!
//! The file holds all that a search knows between two blocks of states: what has been visited,
//! how each state was found, what waits, and the parts that the numbers in waiting states stand
//! for. It is written beside its place and moved there when it is whole, so that there is always
//! a whole one; whoever reads it holds it against its checksum first. What it was made by and of
//! is part of it: a search of another model, or by another build of this program, is not gone on
//! with.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::engine::{Bits, Reductions};

/// How often a search is kept while it goes on.
const EVERY: Duration = Duration::from_secs(600);

/// The first bytes of each file.
const MAGIC: &[u8; 8] = b"LOCKSTP1";

/// What a search was of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The model.
    pub model: String,
    /// What runs in the protocol's place.
    pub mutant: Option<String>,
    /// What was left out.
    pub reductions: Vec<String>,
    /// How many bits a visited state is remembered by.
    pub fingerprint_bits: u32,
    /// A checksum of the program.
    pub build: u32,
}

impl Identity {
    /// Of a search by this program.
    ///
    /// # Errors
    /// If this program cannot be read.
    pub fn new(
        model: &str,
        mutant: Option<&str>,
        reductions: Reductions,
        fingerprints: Bits,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let program = std::fs::read(program).context("cannot read this program")?;
        let names = reductions.names().into_iter();
        Ok(Self {
            model: model.to_owned(),
            mutant: mutant.map(str::to_owned),
            reductions: names.map(str::to_owned).collect(),
            fingerprint_bits: fingerprints.number(),
            build: crc32fast::hash(&program),
        })
    }
}

/// Where a search is kept.
pub struct Keeper {
    file: PathBuf,
    identity: Identity,
    last: Instant,
    /// What the file held when the search began.
    found: Option<Reader>,
    /// Why it could not be kept when that was last tried.
    failure: Option<String>,
}

impl Keeper {
    /// Keeps a search in this file. If there is one, it is gone on with.
    ///
    /// # Errors
    /// If there is a file and it cannot be read, is damaged, or holds a search of something else.
    pub fn new(file: &Path, identity: Identity) -> Result<Self> {
        let found = match File::open(file) {
            Ok(opened) => Some(
                Reader::of(opened, &identity)
                    .with_context(|| format!("cannot go on from {}", file.display()))?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        // Better now than after an hour.
        beside(file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self {
            file: file.to_owned(),
            identity,
            last: Instant::now(),
            found,
            failure: None,
        })
    }

    /// What the file held when the search began.
    pub(super) fn found(&mut self) -> Option<Reader> {
        self.found.take()
    }

    /// Whether it is time to keep the search again.
    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= EVERY
    }

    /// Keeps what `write` writes. If that fails the file is what it was.
    pub(super) fn keep(&mut self, write: impl FnOnce(&mut Writer<'_>) -> io::Result<()>) {
        let kept = self.replace(write);
        self.failure = kept.err().map(|error| error.to_string());
        self.last = Instant::now();
    }

    fn replace(&self, write: impl FnOnce(&mut Writer<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut beside = beside(&self.file)?;
        let mut buffer = BufWriter::new(beside.as_file_mut());
        buffer.write_all(MAGIC)?;
        let mut writer = Writer {
            into: &mut buffer,
            checksum: crc32fast::Hasher::new(),
        };
        writer.value(&self.identity)?;
        write(&mut writer)?;
        let checksum = writer.checksum.finalize();
        buffer.write_all(&checksum.to_le_bytes())?;
        buffer.flush()?;
        drop(buffer);
        beside.as_file().sync_all()?;
        beside.persist(&self.file)?;
        Ok(())
    }

    /// What became of it, in words.
    pub fn outcome(&self) -> String {
        let file = self.file.display();
        match &self.failure {
            None => format!("kept in {file}: the same command goes on from there"),
            Some(error) => format!(
                "NOT KEPT in {file}: {error}; what was kept there before, if anything, still is"
            ),
        }
    }
}

/// A file in the same folder, which goes if it is not moved to that one's place.
fn beside(file: &Path) -> io::Result<NamedTempFile> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
}

/// Writes parts of a search.
pub struct Writer<'a> {
    into: &'a mut dyn Write,
    checksum: crc32fast::Hasher,
}

impl Writer<'_> {
    /// Writes some bytes, and how many.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.number(bytes.len() as u64)?;
        self.raw(bytes)
    }

    /// Writes a number.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn number(&mut self, number: u64) -> io::Result<()> {
        self.raw(&number.to_le_bytes())
    }

    /// Writes a value.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn value(&mut self, value: &impl Serialize) -> io::Result<()> {
        let bytes = postcard::to_allocvec(value).map_err(io::Error::other)?;
        self.bytes(&bytes)
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.into.write_all(bytes)
    }
}

/// Reads parts of a search in the order in which they were written: a part at a time, for a
/// search may be larger than the memory that is to be used.
pub struct Reader {
    content: BufReader<File>,
    /// How many bytes of the content are still to be read.
    left: u64,
}

impl Reader {
    fn of(mut file: File, identity: &Identity) -> Result<Self> {
        let left = checked(&mut file)?;
        file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let mut reader = Self {
            content: BufReader::new(file),
            left,
        };
        let found: Identity = reader.value().context("it is of another version")?;
        if found.build != identity.build {
            bail!(
                "it was made by another build of this program, for which its numbers may mean \
                 something else; remove it to begin anew"
            );
        }
        if found != *identity {
            let of = |identity: &Identity| {
                let mutant = identity.mutant.as_deref();
                let mutant = mutant.map_or_else(String::new, |id| format!(" with {id}"));
                let reductions = identity.reductions.join(",");
                let (model, bits) = (&identity.model, identity.fingerprint_bits);
                format!("{model}{mutant}, reductions {reductions}, {bits}-bit fingerprints")
            };
            bail!("it is of {}, not of {}", of(&found), of(identity));
        }
        Ok(reader)
    }

    /// Reads bytes, as many as were written.
    ///
    /// # Errors
    /// If it ends too early.
    pub fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let len = self.number()?;
        self.take(len)?;
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.content.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// If it ends too early.
    pub fn number(&mut self) -> io::Result<u64> {
        let mut number = [0; size_of::<u64>()];
        self.take(number.len() as u64)?;
        self.content.read_exact(&mut number)?;
        Ok(u64::from_le_bytes(number))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// If another one was written, or the same one in other bytes: postcard itself heeds neither
    /// bytes behind a value nor numbers that are longer than they need be.
    pub fn value<T: Serialize + DeserializeOwned>(&mut self) -> io::Result<T> {
        let bytes = self.bytes()?;
        let value = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
        if postcard::to_allocvec(&value).map_err(io::Error::other)? != bytes {
            return Err(not_ours(
                "a value stands there in other bytes than it is written in",
            ));
        }
        Ok(value)
    }

    /// Nothing more is to be read.
    ///
    /// # Errors
    /// If there is something.
    pub fn end(&self) -> io::Result<()> {
        match self.left {
            0 => Ok(()),
            more => Err(not_ours(&format!("{more} bytes stand behind the search"))),
        }
    }

    /// Takes so many bytes off what is left, before there is room made for them.
    fn take(&mut self, len: u64) -> io::Result<()> {
        let left = self.left.checked_sub(len);
        self.left = left.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(())
    }
}

/// That the file's checksum is right and its content is nothing that this program writes.
fn not_ours(what: &str) -> io::Error {
    let words = format!("it is damaged, or was written by something else: {what}");
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// How long the content of a whole file is, between what it begins with and its checksum.
fn checked(file: &mut File) -> Result<u64> {
    let len = file.metadata()?.len();
    let mut from = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    if len < MAGIC.len() as u64 || from.read_exact(&mut magic).is_err() || magic != *MAGIC {
        bail!("it holds no search");
    }
    let mut checksum = [0; size_of::<u32>()];
    let Some(content) = (len - MAGIC.len() as u64).checked_sub(checksum.len() as u64) else {
        bail!("it is damaged: it ends too early");
    };
    let mut hasher = crc32fast::Hasher::new();
    let mut left = content;
    while left > 0 {
        let part = from.fill_buf()?;
        let len = left.min(part.len() as u64) as usize;
        if len == 0 {
            bail!("it is damaged: it ends too early");
        }
        hasher.update(&part[..len]);
        from.consume(len);
        left -= len as u64;
    }
    from.read_exact(&mut checksum)?;
    if hasher.finalize() != u32::from_le_bytes(checksum) {
        bail!("it is damaged: its checksum is wrong");
    }
    Ok(content)
}
