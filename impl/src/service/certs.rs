//! A cluster's own authority, and the certificates of its nodes, as files.
//!
//! The authority's key signs, and belongs on no node: whoever has it can be any node.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use models::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::runtime::tls::node_name;
use crate::service::gossip_key::{GossipKeyError, make_gossip_key};

/// The authority's certificate.
pub const CA_FILE: &str = "ca.pem";
/// The authority's key.
pub const CA_KEY_FILE: &str = "ca.key";
/// The key that signs the datagrams of a counter's nodes, or of heartbeat's members.
pub const GOSSIP_KEY_FILE: &str = "gossip.key";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Clocks differ: a certificate is valid from a little before it was made.
const EARLIER: Duration = Duration::from_secs(60 * 60);

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file is there already.
    #[error(
        "{0} is there already, and was not changed: certificates that were made with it would be \
         refused after another took its place. Name another directory, or move it away"
    )]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {source}; no certificate was made")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The authority's files are of no use.
    #[error(
        "{path} is of no use: {source}; no certificate was made. `lockstep certs init` makes an \
         authority"
    )]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// The key for datagrams cannot be made.
    #[error(transparent)]
    GossipKey(#[from] GossipKeyError),
    /// A certificate cannot be made.
    #[error("no certificate was made: {0}")]
    Rcgen(#[from] rcgen::Error),
}

/// Makes an authority for the cluster of this name in `directory`, valid for `days`; and, beside it, a key
/// for datagrams, if there is none.
///
/// # Errors
/// When there is one already, or the files cannot be written.
pub fn make_authority(directory: &Path, cluster: &str, days: u32) -> Result<PathBuf, CertsError> {
    let (certificate_file, key_file) = (directory.join(CA_FILE), directory.join(CA_KEY_FILE));
    for file in [&certificate_file, &key_file] {
        if file.exists() {
            return Err(CertsError::Exists(file.clone()));
        }
    }
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    let name = format!("Lockstep authority of the cluster {cluster}");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, days);
    let certificate = params.self_signed(&key)?;
    let gossip_key = directory.join(GOSSIP_KEY_FILE);
    if !gossip_key.exists() {
        make_gossip_key(&gossip_key)?;
    }
    write_secret(&key_file, &key.serialize_pem())?;
    write_new(&certificate_file, &certificate.pem(), 0o644)?;
    Ok(certificate_file)
}

/// What a node's certificate says.
#[derive(Clone, Debug)]
pub struct NodeCertificate {
    /// The node.
    pub node: NodeId,
    /// Under what names and addresses clients reach it. (Other nodes know it by its number.)
    pub hosts: Vec<String>,
    /// How long it is valid.
    pub days: u32,
}

/// Makes the certificate and key of a node in `directory`, signed by the authority there. One that is
/// there is replaced: that is how a certificate is renewed.
///
/// # Errors
/// When there is no authority, or the files cannot be written.
pub fn make_node(directory: &Path, wanted: &NodeCertificate) -> Result<PathBuf, CertsError> {
    let authority = read_authority(directory)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![node_name(wanted.node)])?;
    for host in &wanted.hosts {
        params.subject_alt_names.push(match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.as_str().try_into()?),
        });
    }
    let name = format!("Lockstep node {}", wanted.node.0);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, wanted.days);
    let certificate = params.signed_by(&key, &authority)?;
    let file = |ending: &str| directory.join(format!("node-{}.{ending}", wanted.node.0));
    replace(&file("key"), &key.serialize_pem(), 0o600)?;
    replace(&file("pem"), &certificate.pem(), 0o644)?;
    Ok(file("pem"))
}

fn read_authority(directory: &Path) -> Result<Issuer<'static, KeyPair>, CertsError> {
    let read = |name| {
        let path = directory.join(name);
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        Ok::<_, CertsError>((path, text))
    };
    let of_no_use = |path: PathBuf| move |source| CertsError::Authority { path, source };
    let (path, key) = read(CA_KEY_FILE)?;
    let key = KeyPair::from_pem(&key).map_err(of_no_use(path))?;
    let (path, certificate) = read(CA_FILE)?;
    Issuer::from_ca_cert_pem(&certificate, key).map_err(of_no_use(path))
}

fn valid_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    params.not_before = (now - EARLIER).into();
    params.not_after = (now + days * DAY).into();
}

/// A key: nobody else may read it.
fn write_secret(path: &Path, text: &str) -> Result<(), CertsError> {
    write_new(path, text, 0o600)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CertsError> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    opened
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(failed(path))
}

/// Whole or not at all: a node may be about to read it.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), CertsError> {
    let unfinished = path.with_added_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&unfinished)(error));
        }
        _ => write_new(&unfinished, text, mode)?,
    }
    fs::rename(&unfinished, path).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CertsError {
    let path = path.to_owned();
    move |source| CertsError::Io { path, source }
}
