//! A proxy that can spoil or swallow what passes through it, and keeps an address for a node
//! that restarts: a port that nobody holds may be taken by any connection of another test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::cluster::listener;

/// Passes connections on to a node, and does to what passes as it is told.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    spoil: AtomicBool,
    swallow_forth: AtomicBool,
    swallow_back: AtomicBool,
    slow: AtomicBool,
}

impl Proxy {
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let (listener, address) = listener().await;
        let faults = Arc::new(Faults::default());
        let target = Arc::new(Mutex::new(target));
        tokio::spawn(accept(listener, target.clone(), faults.clone()));
        Self {
            address,
            target,
            faults,
        }
    }

    /// Passes later connections on to another address.
    pub(crate) fn redirect(&self, target: SocketAddr) {
        *self.target.lock().expect("no panic") = target;
    }

    /// Flips a bit in the next bytes that pass.
    pub(crate) fn spoil(&self) {
        self.faults.spoil.store(true, Ordering::SeqCst);
    }

    /// From now on takes what callers send, and lets none of it pass; or lets it pass again.
    /// Connections stay open, and everything is acknowledged.
    pub(crate) fn swallow_forth(&self, swallow: bool) {
        self.faults.swallow_forth.store(swallow, Ordering::SeqCst);
    }

    /// The same with what the called node sends back.
    pub(crate) fn swallow_back(&self, swallow: bool) {
        self.faults.swallow_back.store(swallow, Ordering::SeqCst);
    }

    /// From now on passes on some 200 kB a second.
    pub(crate) fn slow_down(&self) {
        self.faults.slow.store(true, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, target: Arc<Mutex<SocketAddr>>, faults: Arc<Faults>) {
    while let Ok((caller, _)) = listener.accept().await {
        let target = *target.lock().expect("no panic");
        tokio::spawn(pass_on(caller, target, faults.clone()));
    }
}

async fn pass_on(caller: TcpStream, target: SocketAddr, faults: Arc<Faults>) {
    let Ok(called) = TcpStream::connect(target).await else {
        return;
    };
    let (from_caller, to_caller) = caller.into_split();
    let (from_called, to_called) = called.into_split();
    let never = AtomicBool::new(false);
    // Whichever end closes, the other one learns of it.
    tokio::select! {
        () = pass(from_caller, to_called, &faults.swallow_forth, &faults.spoil, &faults.slow) => {}
        () = pass(from_called, to_caller, &faults.swallow_back, &never, &never) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    swallow: &AtomicBool,
    spoil: &AtomicBool,
    slow: &AtomicBool,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if swallow.load(Ordering::SeqCst) {
            continue;
        }
        if slow.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20)).await;
        }
        if spoil.swap(false, Ordering::SeqCst) {
            buffer[count - 1] ^= 1;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
