//! `lockstep demo load-balance`: jobs over TCP, given to the least loaded member, beside the same jobs given
//! to members drawn at random. In the midst of it a worker dies.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use models::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::cluster::LocalCluster;
use super::story::{Story, require, unexpected};
use crate::heartbeat::{ClusterConfig, HeartbeatError, Member, MemberInfo, MemberList, Timing};
use crate::service::narrator::{DemoError, PATIENCE};

/// Workers, by how many jobs each does at a time.
const WORKERS: [(u16, usize); 4] = [(4, 8), (5, 4), (6, 2), (7, 2)];
/// The worker that dies.
const DIES: u16 = 5;
/// The member that gives out jobs.
const GIVER: u16 = 8;
/// A job takes so many milliseconds, at least
const SHORTEST: u64 = 20;
/// and at most.
const LONGEST: u64 = 80;
/// Jobs come so many milliseconds one after the other.
const EVERY: u64 = 5;
/// What a job counts for until its worker speaks again: one of eight that the largest does at a time. More would
/// spread jobs more evenly, and have them wait for heartbeats.
const JOB_LOAD: f64 = 0.125;

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// So many jobs.
    pub jobs: usize,
    /// Draws how long jobs take, and the members drawn at random.
    pub seed: u64,
}

/// A worker: its member, and the port where it takes jobs.
struct Worker {
    member: Arc<Member>,
    work: Arc<Work>,
    serving: JoinSet<()>,
}

/// What a worker does.
struct Work {
    slots: usize,
    running: AtomicUsize,
    done: AtomicUsize,
    /// The most that ran at a time.
    most: AtomicUsize,
}

/// How jobs are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    LeastLoaded,
    AtRandom,
}

/// A job that is done.
struct Done {
    by: NodeId,
    tries: usize,
    took: Duration,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    took: Duration,
    /// How long jobs took from when they came until they were done, in order.
    latencies: Vec<Duration>,
    /// By worker.
    done: BTreeMap<u16, usize>,
    retried: usize,
}

impl Outcome {
    fn take(&mut self, done: Done) {
        *self.done.entry(done.by.0).or_insert(0) += 1;
        self.latencies.push(done.took);
        self.retried += done.tries - 1;
    }
}

/// Runs the demo, and tells its steps to `out`.
///
/// # Errors
/// When a job is not done, or the load is not spread as it should be.
pub async fn run(options: Options, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let mut story = Story::new(out);
    let cluster = ClusterConfig {
        timing: Timing {
            heartbeat_ms: 50,
            ..Timing::default()
        },
        ..ClusterConfig::new("load-balance", [1, 2, 3])
    };
    let cluster = LocalCluster::start(cluster)
        .await
        .map_err(DemoError::client)?;
    let mut workers = BTreeMap::new();
    for (id, slots) in WORKERS {
        workers.insert(id, start(&cluster, id, slots).await?);
    }
    let (members, slots) = (
        workers.len(),
        WORKERS.iter().map(|(_, slots)| slots).sum::<usize>(),
    );
    story.say(format!(
        "3 voters and {members} workers joined, which do {slots} jobs at a time: {}; seed {}",
        WORKERS
            .map(|(id, slots)| format!("{slots} at {id}"))
            .join(", "),
        options.seed
    ));
    let giver = Member::join(cluster.config(GIVER)).await;
    let giver = Arc::new(giver.map_err(DemoError::client)?);
    know_all(&giver, &workers).await;
    let mut outcomes = Vec::new();
    for way in [Way::AtRandom, Way::LeastLoaded] {
        reset(&workers);
        let outcome = give_out(&giver, way, options, None).await?;
        tell(&mut story, way, &outcome);
        outcomes.push(measure(&workers, outcome));
    }
    let (at_random, least_loaded) = (&outcomes[0], &outcomes[1]);
    let all = least_loaded.outcome.done.values().sum::<usize>();
    require("all jobs are done", all == options.jobs, all)?;
    let found = format!(
        "{:.2} against {:.2}",
        least_loaded.overload, at_random.overload
    );
    let expected = "the most loaded worker is less overloaded than at random";
    require(expected, least_loaded.overload < at_random.overload, &found)?;
    story.say(format!(
        "the most loaded worker had {:.0} % of what it does at a time, and {:.0} % with jobs given at random",
        100.0 * least_loaded.overload,
        100.0 * at_random.overload
    ));

    reset(&workers);
    let dying = workers.remove(&DIES);
    let outcome = give_out(&giver, Way::LeastLoaded, options, dying).await?;
    let all = outcome.done.values().sum::<usize>();
    require(
        "all jobs are done though a worker dies",
        all == options.jobs,
        all,
    )?;
    story.say(format!(
        "worker {DIES} died in the midst of it: what it did not finish was given to others ({} tries more), and all \
         {} are done",
        outcome.retried, options.jobs
    ));
    for (_, worker) in workers {
        stop(worker).await?;
    }
    end(giver).await?;
    cluster.shutdown().await.map_err(DemoError::client)?;
    story.line("PASS");
    Ok(())
}

async fn start(cluster: &LocalCluster, id: u16, slots: usize) -> Result<Worker, DemoError> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(DemoError::client)?;
    let address = listener.local_addr().map_err(DemoError::client)?;
    let member = Member::join(cluster.config(id).with_service(address)).await;
    let member = Arc::new(member.map_err(DemoError::client)?);
    member.report_load(0.0).map_err(DemoError::client)?;
    let work = Arc::new(Work {
        slots,
        running: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let mut serving = JoinSet::new();
    serving.spawn(serve(listener, work.clone(), member.clone()));
    Ok(Worker {
        member,
        work,
        serving,
    })
}

async fn stop(worker: Worker) -> Result<(), DemoError> {
    let Worker {
        member,
        mut serving,
        ..
    } = worker;
    serving.shutdown().await;
    end(member).await
}

async fn end(member: Arc<Member>) -> Result<(), DemoError> {
    match Arc::into_inner(member) {
        Some(member) => member.shutdown().await.map_err(DemoError::client),
        None => Err(unexpected("nobody has the member any more", "somebody has")),
    }
}

/// Takes jobs: 8 bytes with how many milliseconds one takes, answered by one byte when it is done.
async fn serve(listener: TcpListener, work: Arc<Work>, member: Arc<Member>) {
    let slots = Arc::new(tokio::sync::Semaphore::new(work.slots));
    let mut jobs = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (slots, work, member) = (slots.clone(), work.clone(), member.clone());
        jobs.spawn(async move {
            // One that is cut off is given to another.
            let _ = do_job(stream, &slots, &work, &member).await;
        });
        while jobs.try_join_next().is_some() {}
    }
}

async fn do_job(
    mut stream: TcpStream,
    slots: &tokio::sync::Semaphore,
    work: &Work,
    member: &Member,
) -> std::io::Result<()> {
    let millis = stream.read_u64().await?;
    report(
        work,
        member,
        work.running.fetch_add(1, Ordering::Relaxed) + 1,
    );
    let slot = slots.acquire().await.map_err(std::io::Error::other)?;
    sleep(Duration::from_millis(millis)).await;
    drop(slot);
    work.done.fetch_add(1, Ordering::Relaxed);
    report(
        work,
        member,
        work.running.fetch_sub(1, Ordering::Relaxed) - 1,
    );
    stream.write_u8(1).await
}

fn report(work: &Work, member: &Member, running: usize) {
    work.most.fetch_max(running, Ordering::Relaxed);
    // A number of jobs is a load.
    let _ = member.report_load(running as f64 / work.slots as f64);
}

/// Waits until the giver knows how loaded each worker is.
async fn know_all(giver: &Member, workers: &BTreeMap<u16, Worker>) {
    let known = |id: &u16, members: &MemberList| {
        let member = members.get(NodeId(*id));
        member.is_some_and(|member| member.load.is_some() && member.service_address.is_some())
    };
    giver
        .wait_for(|list| workers.keys().all(|id| known(id, list)))
        .await;
}

fn reset(workers: &BTreeMap<u16, Worker>) {
    for worker in workers.values() {
        worker.work.done.store(0, Ordering::Relaxed);
        worker.work.most.store(0, Ordering::Relaxed);
    }
}

/// An outcome, with how overloaded the most loaded worker was.
struct Measured {
    outcome: Outcome,
    overload: f64,
}

fn measure(workers: &BTreeMap<u16, Worker>, outcome: Outcome) -> Measured {
    let loads = workers
        .values()
        .map(|worker| worker.work.most.load(Ordering::Relaxed) as f64 / worker.work.slots as f64);
    Measured {
        outcome,
        overload: loads.fold(0.0, f64::max),
    }
}

/// Gives out all jobs and waits until they are done. `dying` dies when half of them are given out.
async fn give_out(
    giver: &Arc<Member>,
    way: Way,
    options: Options,
    mut dying: Option<Worker>,
) -> Result<Outcome, DemoError> {
    let mut rng = Rng::with_seed(options.seed);
    let mut under_way = JoinSet::new();
    let mut outcome = Outcome::default();
    let began = Instant::now();
    for job in 0..options.jobs {
        if job == options.jobs / 2 {
            // It says nothing any more, and what it was doing is lost.
            drop(dying.take());
        }
        let (millis, seed) = (rng.u64(SHORTEST..=LONGEST), rng.u64(..));
        under_way.spawn(do_somewhere(giver.clone(), way, millis, seed));
        sleep(Duration::from_millis(EVERY)).await;
    }
    while let Some(done) = under_way.join_next().await {
        outcome.take(done.map_err(DemoError::client)??);
    }
    outcome.took = began.elapsed();
    outcome.latencies.sort();
    Ok(outcome)
}

/// Has a job done, by one worker after the other if need be.
async fn do_somewhere(
    giver: Arc<Member>,
    way: Way,
    millis: u64,
    seed: u64,
) -> Result<Done, DemoError> {
    let came = Instant::now();
    let mut rng = Rng::with_seed(seed);
    let mut tries = 0;
    loop {
        let chosen = match way {
            Way::LeastLoaded => giver.pick_least_loaded(JOB_LOAD),
            Way::AtRandom => at_random(&giver, &mut rng),
        };
        match chosen {
            Ok(worker) => {
                tries += 1;
                if let Some(address) = worker.service_address
                    && ask(address, millis).await.is_ok()
                {
                    return Ok(Done {
                        by: worker.id,
                        tries,
                        took: came.elapsed(),
                    });
                }
            }
            // All are as loaded as they may be: the job waits.
            Err(HeartbeatError::NobodyAvailable { .. }) => {}
            Err(error) => return Err(unexpected("a worker is chosen", error)),
        }
        if came.elapsed() >= PATIENCE {
            return Err(unexpected(
                "a job is done",
                format!("it was tried {tries} times"),
            ));
        }
        sleep(Duration::from_millis(EVERY)).await;
    }
}

fn at_random(giver: &Member, rng: &mut Rng) -> Result<MemberInfo, HeartbeatError> {
    let workers = giver.members().members.into_iter();
    let workers: Vec<MemberInfo> = workers
        .filter(|member| member.service_address.is_some())
        .collect();
    let known = workers.len();
    rng.choice(workers)
        .ok_or(HeartbeatError::NobodyAvailable { limit: 1.0, known })
}

async fn ask(address: SocketAddr, millis: u64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_u64(millis).await?;
    stream.read_u8().await.map(drop)
}

fn tell(story: &mut Story<'_>, way: Way, outcome: &Outcome) {
    let way = match way {
        Way::LeastLoaded => "to the least loaded",
        Way::AtRandom => "at random",
    };
    let done: usize = outcome.done.values().sum();
    let at = |share: f64| {
        let last = outcome.latencies.len().saturating_sub(1);
        let at = (share * last as f64).round() as usize;
        outcome.latencies.get(at).map_or(0, Duration::as_millis)
    };
    story.say(format!(
        "{done} jobs given {way}: done in {:.2} s, a job in {} ms (median) and {} ms (95 %)",
        outcome.took.as_secs_f64(),
        at(0.5),
        at(0.95)
    ));
    for (id, slots) in WORKERS {
        let jobs = outcome.done.get(&id).copied().unwrap_or(0);
        let share = 40 * jobs / done.max(1);
        story.line(format!(
            "    worker {id}, {slots} at a time: {jobs:>5} jobs {}",
            "#".repeat(share)
        ));
    }
}
