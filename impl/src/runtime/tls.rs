//! Mutual TLS between the nodes of a cluster: who may speak as which node.
//!
//! A cluster has an authority of its own. A node's certificate, which the authority has signed, names
//! the node ([`node_name`]): a caller must show one that names the node which its handshake claims, and
//! the called node one that names whom the caller meant. So a stranger, a node of another cluster and a
//! node that takes itself for another are told apart by cryptography, before anything else is read.
//!
//! The files are read anew when they have changed: a certificate is replaced without a restart. New
//! connections use it; one that cannot be read leaves the last that could, and the log says so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use models::NodeId;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig};

use crate::runtime::sync::Mutex;

/// The files are looked at this often at most.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Where a node's credentials are: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the cluster's authority. May hold more than one, while the authority is
    /// being replaced.
    pub ca: PathBuf,
    /// The node's certificate.
    pub certificate: PathBuf,
    /// The node's private key.
    pub key: PathBuf,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of the right kind.
    #[error(
        "{path}: {problem}; nothing was started. `lockstep certs` makes an authority and \
         certificates"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate and the key do not go together, or are of no use.
    #[error(
        "the certificate {certificate} and its key are of no use: {problem}; nothing was started"
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        problem: String,
    },
}

/// A node's credentials, as its files have them now.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    credentials: Credentials,
    stamps: Stamps,
    looked: Instant,
}

/// When each file was changed last.
type Stamps = [Option<SystemTime>; 3];

/// What connections are made with.
#[derive(Clone, Debug)]
struct Credentials {
    /// Demands a certificate of the caller.
    peers: Arc<ServerConfig>,
    /// Demands none.
    clients: Arc<ServerConfig>,
    /// Shows the node's certificate, and demands one of the called node.
    calls: Arc<ClientConfig>,
}

/// The name of a node in its certificate, whatever its host is called. (`.internal` is reserved for
/// private use.)
pub fn node_name(node: NodeId) -> String {
    format!("node-{}.lockstep.internal", node.0)
}

/// The cryptography that all connections use.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, or they do not go together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        let current = Current {
            credentials: files.load()?,
            stamps,
            looked: Instant::now(),
        };
        Ok(Self {
            files,
            current: Mutex::new(current),
        })
    }

    /// For connections that peers begin.
    pub(crate) fn for_peers(&self) -> Arc<ServerConfig> {
        self.current().peers
    }

    /// For connections that clients begin.
    pub(crate) fn for_clients(&self) -> Arc<ServerConfig> {
        self.current().clients
    }

    /// For connections that this node begins.
    pub(crate) fn for_calls(&self) -> Arc<ClientConfig> {
        self.current().calls
    }

    fn current(&self) -> Credentials {
        let mut current = self.current.lock();
        if current.looked.elapsed() >= LOOK_PERIOD {
            current.looked = Instant::now();
            let stamps = self.files.stamps();
            if stamps != current.stamps {
                current.stamps = stamps;
                match self.files.load() {
                    Ok(credentials) => {
                        tracing::info!(certificate = %self.files.certificate.display(), "the certificate has been read anew");
                        current.credentials = credentials;
                    }
                    Err(error) => tracing::error!(
                        %error,
                        "the changed certificate is of no use: the last one is used on"
                    ),
                }
            }
        }
        current.credentials.clone()
    }
}

impl TlsFiles {
    fn stamps(&self) -> Stamps {
        let changed = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
        [&self.ca, &self.certificate, &self.key].map(changed)
    }

    fn load(&self) -> Result<Credentials, TlsError> {
        let roots = Arc::new(read_roots(&self.ca)?);
        let chain = read_certificates(&self.certificate)?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| bad_file(&self.key, &error))?;
        let unusable = |error: rustls::Error| TlsError::Unusable {
            certificate: self.certificate.clone(),
            problem: error.to_string(),
        };
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .build()
            .map_err(|error| bad_file(&self.ca, &error))?;
        let server = || {
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()
        };
        let peers = server()
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(unusable)?;
        let clients = server()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(unusable)?;
        let calls = client_builder(roots)
            .map_err(unusable)?
            .with_client_auth_cert(chain, key)
            .map_err(unusable)?;
        Ok(Credentials {
            peers: Arc::new(peers),
            clients: Arc::new(clients),
            calls: Arc::new(calls),
        })
    }
}

type ClientBuilder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client_builder(roots: Arc<RootCertStore>) -> Result<ClientBuilder, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(builder.with_webpki_verifier(verifier))
}

/// A client that believes what the authority in this file has signed, and shows nothing itself.
///
/// # Errors
/// When the file is of no use.
pub fn client_of(ca: &Path) -> Result<ClientConfig, TlsError> {
    let roots = Arc::new(read_roots(ca)?);
    let builder = client_builder(roots).map_err(|error| bad_file(ca, &error))?;
    Ok(builder.with_no_client_auth())
}

/// A client for what is not in TLS.
pub(crate) fn trusts_nobody() -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    let nobody = RootCertStore::empty();
    Ok(builder.with_root_certificates(nobody).with_no_client_auth())
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| bad_file(path, &error))?;
    }
    Ok(roots)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |error| bad_file(path, &error);
    let certificates = CertificateDer::pem_file_iter(path).map_err(bad)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(bad)?;
    if certificates.is_empty() {
        let problem = "there is no certificate in it".to_owned();
        let path = path.to_owned();
        return Err(TlsError::File { path, problem });
    }
    Ok(certificates)
}

fn bad_file(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}

/// The name by which a node is called.
pub(crate) fn server_name(node: NodeId) -> Result<ServerName<'static>, io::Error> {
    let name = ServerName::try_from(node_name(node));
    name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Whether a certificate names `node`.
pub(crate) fn names(certificate: &CertificateDer<'_>, node: NodeId) -> bool {
    let (Ok(certificate), Ok(name)) = (
        webpki::EndEntityCert::try_from(certificate),
        server_name(node),
    ) else {
        return false;
    };
    certificate.verify_is_valid_for_subject_name(&name).is_ok()
}

/// Who found fault with whom, where TLS did not come about.
#[derive(Debug)]
pub(crate) enum Fault {
    /// We with the other.
    Theirs(String),
    /// The other with us.
    Ours(String),
}

/// What TLS has against a connection, in words; none if it is no matter of TLS.
pub(crate) fn fault(error: &io::Error) -> Option<Fault> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match inner {
        rustls::Error::AlertReceived(alert) => Fault::Ours(rejection(*alert)),
        rustls::Error::InvalidCertificate(problem) => Fault::Theirs(objection(problem)),
        rustls::Error::NoCertificatesPresented => {
            Fault::Theirs("it shows no certificate".to_owned())
        }
        rustls::Error::InvalidMessage(_) => Fault::Theirs(
            "it does not speak TLS: its file says that peers speak in the clear, or it is no node"
                .to_owned(),
        ),
        other => Fault::Theirs(format!("TLS fails: {other}")),
    })
}

fn objection(problem: &CertificateError) -> String {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: make another with `lockstep certs node`".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: compare the clocks".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is of another authority than ours: it is a stranger, or of another \
             cluster"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate names another node than the one that was called".to_owned()
        }
        other => format!("its certificate is refused: {other}"),
    }
}

fn rejection(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => {
            "our certificate has expired: make another with `lockstep certs node`".to_owned()
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "our certificate is of another authority than its own".to_owned()
        }
        AlertDescription::CertificateRequired => "it wants a certificate of us".to_owned(),
        AlertDescription::BadCertificate => "it refuses our certificate".to_owned(),
        other => format!("it ends TLS with {other:?}"),
    }
}
