//! How the two ends of a connection between nodes know each other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::handshake::HandshakeError;
use crate::runtime::secure_stream::SecureStream;
use crate::runtime::tls::{Fault, Tls, fault, names, server_name};

/// How the nodes of a cluster know each other.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// By their own word, in the clear: for a network that belongs to the cluster alone.
    #[default]
    Plaintext,
    /// By certificates.
    Tls(Arc<Tls>),
}

impl Security {
    /// Makes an accepted connection safe.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Result<SecureStream, HandshakeError> {
        let Self::Tls(tls) = self else {
            return Ok(SecureStream::Plain(stream));
        };
        let accepted = timeout(limit, TlsAcceptor::from(tls.for_peers()).accept(stream)).await;
        let accepted = accepted.map_err(|_| HandshakeError::TimedOut)?;
        Ok(SecureStream::Tls(Box::new(accepted?.into())))
    }

    /// Makes a connection to `to` safe.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        to: NodeId,
        limit: Duration,
    ) -> Result<SecureStream, HandshakeError> {
        let Self::Tls(tls) = self else {
            return Ok(SecureStream::Plain(stream));
        };
        let connector = TlsConnector::from(tls.for_calls());
        let connected = timeout(limit, connector.connect(server_name(to)?, stream)).await;
        let connected = connected.map_err(|_| HandshakeError::TimedOut)?;
        Ok(SecureStream::Tls(Box::new(connected?.into())))
    }
}

/// Whom the other's certificate names.
pub(super) fn certified(stream: &SecureStream) -> Certified {
    match stream {
        SecureStream::Plain(_) => Certified::Nobody,
        SecureStream::Tls(_) => Certified::By(stream.certificate()),
    }
}

/// Who vouches for a caller.
pub(super) enum Certified {
    /// Nobody: it is believed.
    Nobody,
    /// This certificate.
    By(Option<CertificateDer<'static>>),
}

impl Certified {
    /// What speaks against the caller's being `node`.
    pub(super) fn objection(&self, node: NodeId) -> Option<String> {
        let Self::By(certificate) = self else {
            return None;
        };
        let is_named = { certificate.as_ref() }.is_some_and(|shown| names(shown, node));
        (!is_named)
            .then(|| format!("the caller says that it is {node}, and its certificate does not"))
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match fault(&error) {
            Some(Fault::Theirs(words)) => Self::RefusedHere(words),
            Some(Fault::Ours(words)) => Self::RefusedByPeer(words),
            None => Self::Io(error),
        }
    }
}
