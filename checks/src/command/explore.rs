//! `checks explore`: a model's states on a web page, Stateright's Explorer.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::{Context, Ending};
use crate::catalogue;
use crate::cli::ExploreArgs;
use crate::subject::Subject;

/// Serves the page until the user presses Ctrl-C.
///
/// # Errors
/// If there is no such model or mutant, or the port is taken.
pub fn run(context: &Context, args: &ExploreArgs) -> Result<Ending> {
    let subject = chosen(args)?;
    let address = free_address(args.port)?;
    let model = subject.model();
    let mutant = subject.mutant().map(|mutant| mutant.id);
    // The page is served by a thread that never ends by itself: it ends with the process.
    let server = thread::spawn(move || subject.serve(address));
    while !server.is_finished() && TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    let with = mutant.map_or_else(String::new, |id| format!(" with mutant {id}"));
    context.say(&format!(
        "{model}{with}: open http://{address}/ in a browser; Ctrl-C ends it\n"
    ));
    let url = format!("http://{address}/");
    context.print_json(&json!({ "model": model, "mutant": mutant, "url": url }))?;
    while !context.interrupted.load(Ordering::Relaxed) {
        if server.is_finished() {
            bail!("the page is not served any more: its server has ended");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(Ending::Well)
}

/// The model; of a mutant, the mutant in the model that refutes it.
fn chosen(args: &ExploreArgs) -> Result<Box<dyn Subject>> {
    match &args.mutant {
        Some(id) => catalogue::mutant(id),
        None => catalogue::named(&args.model),
    }
}

/// An address on this machine that is free, at that port, or at any if that is 0.
///
/// Stateright panics where it cannot listen, and does not tell which port it was given, so
/// the port is tried before. Somebody else may take it in between; then its panic is seen.
fn free_address(port: u16) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
        format!("cannot listen on port {port} of localhost; choose another with --port, 0 for any")
    })?;
    Ok(listener.local_addr()?)
}
