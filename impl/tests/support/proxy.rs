//! A proxy that can spoil what passes through it, and keeps an address for a node that
//! restarts: a port that nobody holds may be taken by any connection of another test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::cluster::listener;

/// Passes connections on to a node, and spoils the next bytes when told to.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    spoil: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let (listener, address) = listener().await;
        let spoil = Arc::new(AtomicBool::new(false));
        let target = Arc::new(Mutex::new(target));
        tokio::spawn(accept(listener, target.clone(), spoil.clone()));
        Self {
            address,
            target,
            spoil,
        }
    }

    /// Passes later connections on to another address.
    pub(crate) fn redirect(&self, target: SocketAddr) {
        *self.target.lock().expect("no panic") = target;
    }

    /// Flips a bit in the next bytes that pass.
    pub(crate) fn spoil(&self) {
        self.spoil.store(true, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, target: Arc<Mutex<SocketAddr>>, spoil: Arc<AtomicBool>) {
    while let Ok((caller, _)) = listener.accept().await {
        let target = *target.lock().expect("no panic");
        tokio::spawn(pass_on(caller, target, spoil.clone()));
    }
}

async fn pass_on(caller: TcpStream, target: SocketAddr, spoil: Arc<AtomicBool>) {
    let Ok(called) = TcpStream::connect(target).await else {
        return;
    };
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_called, mut to_called) = called.into_split();
    let back = tokio::spawn(async move { copy(&mut from_called, &mut to_caller).await });
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from_caller.read(&mut buffer).await {
        if spoil.swap(false, Ordering::SeqCst) {
            buffer[count - 1] ^= 1;
        }
        if to_called.write_all(&buffer[..count]).await.is_err() || back.is_finished() {
            return;
        }
    }
}
