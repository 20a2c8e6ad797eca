//! Where a member listens, and where it is reached.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::config::{Config, Discovery, unusable};
use super::error::HeartbeatError;

/// So many ports are tried that are to be free over UDP and TCP.
const TRIES: usize = 32;

/// A member's sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// For packets of other members, and for all that this one sends.
    pub(crate) udp: UdpSocket,
    /// For packets that are too large for a datagram.
    pub(crate) tcp: TcpListener,
    /// For packets to everybody, at voters only: they alone know who leads.
    pub(crate) wide: Option<UdpSocket>,
    /// Where others reach this member.
    pub(crate) address: SocketAddr,
}

impl Sockets {
    /// Listens as `config` says.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub(crate) async fn bind(config: &Config) -> Result<Self, HeartbeatError> {
        let listening = |source| listen_error("listen", config.listen, source);
        let (udp, tcp) = bind_both(config.listen).await.map_err(listening)?;
        let discovery = &config.cluster.discovery;
        prepare(&udp, discovery).map_err(listening)?;
        let local = udp.local_addr().map_err(listening)?;
        let wide = match config.votes() {
            true => bind_wide(discovery)?,
            false => None,
        };
        let address = match config.address {
            Some(address) if address.port() == 0 => SocketAddr::new(address.ip(), local.port()),
            Some(address) => address,
            None => reachable(local, discovery)?,
        };
        Ok(Self {
            udp,
            tcp,
            wide,
            address,
        })
    }
}

/// Where packets to everybody go, if there is such a place.
pub(crate) fn everybody(discovery: &Discovery) -> Option<SocketAddr> {
    match discovery {
        Discovery::Broadcast { port, address } => Some(SocketAddr::from((*address, *port))),
        Discovery::Multicast { port, group, .. } => Some(SocketAddr::from((*group, *port))),
        Discovery::Static { .. } => None,
    }
}

pub(crate) fn listen_error(
    what: &'static str,
    address: impl ToString,
    source: io::Error,
) -> HeartbeatError {
    HeartbeatError::Listen {
        what,
        address: address.to_string(),
        source: Arc::new(source),
    }
}

/// One port for both.
async fn bind_both(listen: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = TRIES;
    loop {
        let udp = UdpSocket::bind(listen).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if listen.port() != 0 || tries == 0 => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

/// Lets a socket send to everybody.
fn prepare(udp: &UdpSocket, discovery: &Discovery) -> io::Result<()> {
    match discovery {
        Discovery::Broadcast { .. } => udp.set_broadcast(true),
        Discovery::Multicast {
            interface, hops, ..
        } => {
            let socket = SockRef::from(udp);
            socket.set_multicast_if_v4(interface)?;
            socket.set_multicast_ttl_v4(*hops)?;
            // Other members may be on this machine.
            socket.set_multicast_loop_v4(true)
        }
        Discovery::Static { .. } => Ok(()),
    }
}

/// Several members on one machine may listen for packets to everybody.
fn bind_wide(discovery: &Discovery) -> Result<Option<UdpSocket>, HeartbeatError> {
    let (port, membership) = match discovery {
        Discovery::Broadcast { port, .. } => (*port, None),
        Discovery::Multicast {
            port,
            group,
            interface,
            ..
        } => (*port, Some((*group, *interface))),
        Discovery::Static { .. } => return Ok(None),
    };
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let bind = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        if let Some((group, interface)) = membership {
            socket.join_multicast_v4(&group, &interface)?;
        }
        UdpSocket::from_std(socket.into())
    };
    let bound = bind().map_err(|source| listen_error("discovery", address, source))?;
    Ok(Some(bound))
}

/// Where others reach a member that listens at `local`. Where that is every address of this machine, it is
/// the one from which the system sends to them.
fn reachable(local: SocketAddr, discovery: &Discovery) -> Result<SocketAddr, HeartbeatError> {
    if !unusable(local.ip()) {
        return Ok(local);
    }
    let found =
        source_address(discovery).map_err(|error| HeartbeatError::NoAddress(Arc::new(error)))?;
    Ok(SocketAddr::new(found, local.port()))
}

fn source_address(discovery: &Discovery) -> io::Result<IpAddr> {
    let target = match discovery {
        Discovery::Multicast { interface, .. } if !interface.is_unspecified() => {
            return Ok((*interface).into());
        }
        Discovery::Static { members } => members.first().copied(),
        Discovery::Broadcast { .. } | Discovery::Multicast { .. } => everybody(discovery),
    };
    let Some(target) = target else {
        return Err(io::Error::other("no member is named that could be asked"));
    };
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_broadcast(true)?;
    // Nothing is sent by that.
    socket.connect(target)?;
    let address = socket.local_addr()?.ip();
    match unusable(address) {
        true => Err(io::Error::other("the system names none")),
        false => Ok(address),
    }
}
