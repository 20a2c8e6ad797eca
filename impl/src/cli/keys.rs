//! Keys on the command line. A key is a byte string: it is taken as it stands, and a flag says where
//! it is written in base64 or hexadecimal instead. No key is taken for anything but itself because
//! of how it begins.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, anyhow};
use clap::Args;
use lockstep::kv::encoding::{decode_base64, decode_hex};

/// A key.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The key, at most 4 KiB: any bytes but a zero byte, which --key-hex and --key-base64 can write
    key: OsString,
    #[command(flatten)]
    encoding: EncodingArgs,
}

/// The beginning of keys.
#[derive(Debug, Args)]
pub(super) struct PrefixArgs {
    /// What the keys begin with; all keys if it is left out
    #[arg(default_value = "")]
    prefix: OsString,
    #[command(flatten)]
    encoding: EncodingArgs,
}

#[derive(Debug, Args)]
struct EncodingArgs {
    /// The key is written in base64, of the standard alphabet or the one for URLs
    #[arg(long, conflicts_with = "key_hex")]
    key_base64: bool,
    /// The key is written in hexadecimal, two digits for each byte
    #[arg(long)]
    key_hex: bool,
}

impl KeyArgs {
    /// The key.
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        self.encoding.decode(&self.key)
    }
}

impl PrefixArgs {
    /// The prefix.
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        self.encoding.decode(&self.prefix)
    }
}

impl EncodingArgs {
    fn decode(&self, written: &OsStr) -> anyhow::Result<Vec<u8>> {
        if !self.key_base64 && !self.key_hex {
            return Ok(written.as_bytes().to_vec());
        }
        let text = written
            .to_str()
            .context("the key is neither base64 nor hexadecimal; nothing was sent")?;
        let decoded = if self.key_hex {
            decode_hex(text)
        } else {
            decode_base64(text)
        };
        decoded.map_err(|error| anyhow!("the key {error}; nothing was sent"))
    }
}
