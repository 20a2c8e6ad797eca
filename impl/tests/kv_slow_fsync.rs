//! Real processes on a disk whose fsync takes half of the least election time-out, or hangs: a
//! library that is loaded before libc's delays it. Where there is no C compiler there is no such
//! library, and nothing is tested.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use models::NodeId;
use tempfile::TempDir;

use crate::support::kv::PATIENCE;
use crate::support::loopback::http;
use crate::support::processes::{ONE, THREE, TWO, client, leader, page, wait_for};
use crate::support::program::{program_after, send_signal, wait_until_it_ends};

/// While the file `slow` exists each fsync takes 150 ms longer, while `hanging` does none returns.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_as_told(void) {
    const char *slow = getenv("SHIM_SLOW"), *hanging = getenv("SHIM_HANGING");
    while (hanging && access(hanging, F_OK) == 0) usleep(20 * 1000);
    if (slow && access(slow, F_OK) == 0) usleep(150 * 1000);
}

int fsync(int file) {
    int (*next)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fsync");
    wait_as_told();
    return next(file);
}

int fdatasync(int file) {
    int (*next)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    wait_as_told();
    return next(file);
}
"#;

/// Long for an answer that waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(3);
/// A node that is told to stop gives a disk that hangs three seconds, and a request that runs one.
const SOON: Duration = Duration::from_secs(10);

/// The program with a disk that does as told.
struct SlowProgram {
    folder: TempDir,
    program: PathBuf,
}

impl SlowProgram {
    /// None, with a word, without a C compiler.
    fn compile() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, library) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
        fs::write(&source, SHIM).expect("written");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        let Ok(compiled) = compiled else {
            eprintln!("skipped: there is no C compiler");
            return None;
        };
        assert!(compiled.success(), "the library is compiled");
        let first = format!(
            "export SHIM_SLOW='{0}/slow' SHIM_HANGING='{0}/hanging' LD_PRELOAD='{1}'",
            folder.path().display(),
            library.display()
        );
        let program = program_after(folder.path(), &first);
        Some(Self { folder, program })
    }

    fn set(&self, what: &str) {
        fs::write(self.folder.path().join(what), "").expect("written");
    }
}

/// Where a node serves its metrics: on any port, which its log names.
fn metrics_address(nodes: &Processes, id: NodeId) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let log = nodes.log_tail(id);
        let named = log.split("metrics=").nth(1);
        // Whole as soon as something stands behind it.
        if let Some((address, _)) = named.and_then(|rest| rest.split_once(' ')) {
            return address.to_owned();
        }
        assert!(Instant::now() < end, "{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn metrics_answer(address: &str) {
    let http = http();
    let page = http.get(format!("http://{address}/metrics"));
    let page = page.timeout(AT_ONCE).send().await.expect("an answer");
    let page = page.text().await.expect("a page");
    assert!(page.contains("lockstep_journal_flush"), "{page}");
}

/// Each write waits for an fsync at two nodes, each heartbeat for none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_fsync_costs_no_term() {
    let Some(program) = SlowProgram::compile() else {
        return;
    };
    program.set("slow");
    let nodes = Processes::start(&program.program, 3, Timing::default()).expect("starts");
    let mut writer = client(&nodes);
    writer.put(b"first", "x".into()).await.expect("put");
    let leads = leader(&nodes).await;
    let term = page(&nodes, leads, "/status").await["term"].clone();
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(10) {
        let key = format!("key-{done}");
        writer.put(key.as_bytes(), "x".into()).await.expect("put");
        done += 1;
    }
    assert!(done > 10, "only {done} writes");
    for id in [ONE, TWO, THREE] {
        let status = page(&nodes, id, "/status").await;
        assert_eq!(status["term"], term, "{status}\n{}", nodes.log_tails());
        assert_eq!(status["leader"], leads.0, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_fsync_that_hangs_keeps_nobody_from_answering_or_ending() {
    let Some(program) = SlowProgram::compile() else {
        return;
    };
    program.set("slow");
    let nodes = Processes::start(&program.program, 3, Timing::default()).expect("starts");
    let metrics = [ONE, TWO, THREE].map(|id| metrics_address(&nodes, id));
    let mut writer = client(&nodes);
    writer.put(b"k", "x".into()).await.expect("put");
    wait_for(&nodes, ONE, "/status", |shown| {
        shown["disk"]["slow"] == true
    })
    .await;

    program.set("hanging");
    // Whoever leads has this to put on its disk.
    let write = tokio::spawn(async move { writer.put(b"k", "y".into()).await });
    let end = Instant::now() + PATIENCE;
    let mut hangs = false;
    while !hangs {
        assert!(Instant::now() < end, "nobody writes\n{}", nodes.log_tails());
        for id in [ONE, TWO, THREE] {
            let status = page(&nodes, id, "/status").await;
            hangs |= status["disk"]["fsync_in_progress_ms"].as_u64() > Some(1000);
        }
    }
    for (id, metrics) in [ONE, TWO, THREE].into_iter().zip(&metrics) {
        let asked = Instant::now();
        let status = page(&nodes, id, "/status").await;
        assert_eq!(status["id"], id.0, "{status}");
        metrics_answer(metrics).await;
        assert!(asked.elapsed() < AT_ONCE, "{id}: {:?}", asked.elapsed());
    }
    let pids = [ONE, TWO, THREE].map(|id| nodes.pid(id).expect("runs"));
    pids.iter().for_each(|pid| send_signal(*pid, "-TERM"));
    for pid in pids {
        wait_until_it_ends(pid, SOON);
    }
    write.abort();
}
