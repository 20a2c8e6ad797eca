//! `checks explore`: a model's states on a web page, Stateright's Explorer.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::{Context, Ending, traced};
use crate::catalogue;
use crate::cli::ExploreArgs;
use crate::subject::Subject;
use crate::trace_file::TraceFile;

/// Serves the page until the user presses Ctrl-C.
///
/// # Errors
/// If there is no such model or mutant, the trace is none of theirs, or the port is taken.
pub fn run(context: &Context, args: &ExploreArgs) -> Result<Ending> {
    let (trace, subject) = chosen(args)?;
    let place = match &trace {
        Some(trace) => subject.place(trace)?,
        None => String::new(),
    };
    let address = free_address(args.port)?;
    let model = subject.model();
    let mutant = subject.mutant().map(|mutant| mutant.id);
    // The page is served by a thread that never ends by itself: it ends with the process.
    let server = thread::spawn(move || subject.serve(address, trace.as_ref()));
    while !server.is_finished() && TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    let with = mutant.map_or_else(String::new, |id| format!(" with mutant {id}"));
    context.say(&format!(
        "{model}{with}: open http://{address}/{place} in a browser; Ctrl-C ends it\n"
    ));
    let url = format!("http://{address}/{place}");
    context.print_json(&json!({ "model": model, "mutant": mutant, "url": url }))?;
    while !context.interrupted.load(Ordering::Relaxed) {
        if server.is_finished() {
            bail!("the page is not served any more: its server has ended");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(Ending::Well)
}

/// The model; of a mutant, the mutant in the model that refutes it; of a trace, what it is of,
/// and the trace.
fn chosen(args: &ExploreArgs) -> Result<(Option<TraceFile>, Box<dyn Subject>)> {
    if let Some(path) = &args.trace {
        let (trace, subject) = traced(path)?;
        return Ok((Some(trace), subject));
    }
    let subject = match &args.mutant {
        Some(id) => catalogue::mutant(id)?,
        None => catalogue::named(&args.model)?,
    };
    Ok((None, subject))
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
