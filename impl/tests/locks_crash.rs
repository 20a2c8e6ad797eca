//! Real processes, killed, stopped and restarted, members that come and go: never do two clients
//! have a lock, no update is lost, and tokens rise.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lockstep::locks::client::Client;
use lockstep::locks::config::Timing;
use lockstep::locks::holder::{Holder, Loss};
use lockstep::locks::local::cluster::Processes;
use lockstep::locks::server::{AddBody, Was};
use lockstep::locks::sessions::session_id::SessionId;
use models::NodeId;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::locks::{
    Guarded, PATIENCE, ZERO, acquire, address, client, client_of, cluster, cluster_with,
    count_until, get, post, report, timing, until, until_members, until_waiting,
};
use crate::support::processes::{THREE, succeeded};
use crate::support::program::{PROGRAM, send_signal, wait_until_it_ends};

const TTL: Duration = Duration::from_secs(5);

/// Clients at these nodes, which count for so long.
fn counters(nodes: &Processes, ids: &[u16], number: &Guarded, lasting: Duration) -> JoinSet<u64> {
    let end = Instant::now() + lasting;
    let mut counters = JoinSet::new();
    for id in ids {
        // Its own node first, and others when that is gone.
        let mut addresses = nodes.client_addresses();
        let own = address(nodes, *id);
        addresses.sort_by_key(|address| *address != own);
        counters.spawn(count_until(addresses, "number", number.clone(), end));
    }
    counters
}

/// Waits for them: nothing was lost. Returns how often they have counted.
async fn finish(mut counters: JoinSet<u64>, number: &Guarded) -> u64 {
    let mut all = 0;
    while let Some(counted) = counters.join_next().await {
        all += counted.expect("a counter");
    }
    number.check(all);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_at_all_nodes_lose_no_update_and_their_tokens_rise() {
    let mut nodes = cluster(3).await;
    let number = Guarded::default();
    let running = counters(&nodes, &[1, 2, 3, 1, 2, 3], &number, Duration::from_secs(3));
    let counted = finish(running, &number).await;
    assert!(counted >= 20, "counted {counted} times: this shows little");
    let ended = nodes.stop_all().expect("stops");
    assert!(
        ended.iter().all(|(_, status)| status.success()),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_killed_loses_its_lock_with_its_session_and_its_command_with_it() {
    let nodes = cluster(3).await;
    let mut running = Command::new(PROGRAM)
        .args(["lock", "run", "job", "--ttl", "1s", "--config"])
        .arg(nodes.config_file())
        .args(["--", "sh", "-c", "echo $$; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut pid = String::new();
    let mut out = std::io::BufReader::new(running.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut out, &mut pid).expect("its number");
    let refused = client(&nodes).acquire("job", Duration::ZERO, TTL).await;
    assert_eq!(refused.expect("an answer"), None);
    running.kill().expect("killed");
    running.wait().expect("waited for");
    let killed = Instant::now();
    wait_until_it_ends(
        pid.trim().parse().expect("a number"),
        Duration::from_secs(5),
    );
    acquire(&nodes, 2, "job", TTL).await;
    let waited = killed.elapsed();
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_killed_while_it_holds_is_forgotten_and_its_sessions_with_it() {
    let mut nodes = cluster(3).await;
    let grant = acquire(&nodes, 3, "job", TTL).await;
    let holder = Holder::keep(&client_of(&nodes, 3), grant.clone());
    nodes.kill(THREE).expect("killed");
    let killed = Instant::now();
    let loss = holder.lost().await;
    let lost = killed.elapsed();
    assert!(matches!(loss, Loss::Unanswered(_)), "{loss:?}");
    let next = acquire(&nodes, 1, "job", TTL).await;
    assert!(
        next.token > grant.token,
        "{} after {}",
        next.token,
        grant.token
    );
    assert!(
        killed.elapsed() > lost,
        "another had it before it was given up"
    );
    until_members(&nodes, &[1, 2]).await;

    // Restarted it tells the client so, and has other numbers for its sessions.
    nodes.launch(THREE).expect("restarts");
    let page = get(&nodes, 3, &format!("/sessions/{}", grant.session)).await;
    page.says(410, "its node was restarted since");
    let again = acquire(&nodes, 3, "another", TTL).await;
    assert!(again.session.number > grant.session.number);
    until_members(&nodes, &[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_stopped_for_longer_than_its_lease_has_lost_its_locks_before_others_get_them()
 {
    let nodes = cluster(3).await;
    let epoch = until_members(&nodes, &[1, 2, 3]).await;
    let grant = acquire(&nodes, 3, "job", Duration::from_secs(60)).await;
    let holder = Holder::keep(&client_of(&nodes, 3), grant.clone());
    let pid = nodes.pid(THREE).expect("runs");
    send_signal(pid, "-STOP");
    let stopped = Instant::now();
    let lost = async {
        holder.lost().await;
        stopped.elapsed()
    };
    let next = async {
        let next = acquire(&nodes, 1, "job", TTL).await;
        (next, stopped.elapsed())
    };
    let (lost, (next, granted)) = tokio::join!(lost, next);
    assert!(
        lost < granted,
        "given up after {lost:?}, granted after {granted:?}"
    );
    assert!(next.token > grant.token);
    assert!(next.token.epoch > epoch);
    send_signal(pid, "-CONT");
    // It never says again that the lock is held.
    let was = client_of(&nodes, 3).release("job", grant.session).await;
    let was = was.expect("the session lives");
    assert_eq!(was, Was::Revoked);
    until_members(&nodes, &[1, 2, 3]).await;
    let revoked = report(&nodes, 3).await.expect("answers").revocations;
    assert_eq!(revoked, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_orchestrator_is_killed_and_restarted_under_contention() {
    let mut nodes = cluster(3).await;
    let epoch = until_members(&nodes, &[1, 2, 3]).await;
    let number = Guarded::default();
    let running = counters(&nodes, &[1, 2, 3], &number, Duration::from_secs(6));
    for _ in 0..2 {
        sleep(Duration::from_millis(800)).await;
        nodes.kill(ZERO).expect("killed");
        sleep(Duration::from_millis(300)).await;
        nodes.launch(ZERO).expect("restarts");
    }
    let counted = finish(running, &number).await;
    assert!(counted >= 20, "counted {counted} times: this shows little");
    // It goes on from the epoch that it had begun; another is begun only if a lease ran out.
    assert!(until_members(&nodes, &[1, 2, 3]).await >= epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_orchestrator_locks_go_on_until_the_lease_runs_out_and_from_when_it_is_back() {
    let mut nodes = cluster(3).await;
    let epoch = until_members(&nodes, &[1, 2, 3]).await;
    let grant = acquire(&nodes, 1, "job", TTL).await;
    let holder = Holder::keep(&client_of(&nodes, 1), grant.clone());
    nodes.kill(ZERO).expect("killed");
    // Within the lease.
    let other = acquire(&nodes, 2, "other", TTL).await;
    assert_eq!(other.token.epoch, epoch);
    // After it.
    holder.lost().await;
    until(&nodes, 1, |report| report.role == "joining").await;
    get(&nodes, 1, "/readyz").await.says(503, "no member");
    let mut waiting = client_of(&nodes, 2);
    let waits = waiting.acquire("job", Duration::from_secs(1), TTL).await;
    assert_eq!(waits.expect("an answer"), None);
    nodes.launch(ZERO).expect("restarts");
    let next = acquire(&nodes, 2, "job", TTL).await;
    assert!(next.token > grant.token && next.token.epoch > epoch);
    until_members(&nodes, &[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_killed_and_restarted_under_contention() {
    let mut nodes = cluster(4).await;
    let number = Guarded::default();
    let running = counters(&nodes, &[1, 2, 3, 4], &number, Duration::from_secs(12));
    for id in [2, 4] {
        sleep(Duration::from_secs(1)).await;
        nodes.kill(NodeId(id)).expect("killed");
        sleep(Duration::from_millis(2500)).await;
        nodes.launch(NodeId(id)).expect("restarts");
    }
    let counted = finish(running, &number).await;
    assert!(counted >= 10, "counted {counted} times: this shows little");
    until_members(&nodes, &[1, 2, 3, 4]).await;
}

/// Wrongly suspected: it comes back, and what its clients held meanwhile belongs to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_is_stopped_and_goes_on_under_contention() {
    let nodes = cluster(3).await;
    let epoch = until_members(&nodes, &[1, 2, 3]).await;
    let number = Guarded::default();
    let running = counters(&nodes, &[1, 2, 3, 3], &number, Duration::from_secs(10));
    sleep(Duration::from_secs(1)).await;
    let pid = nodes.pid(THREE).expect("runs");
    send_signal(pid, "-STOP");
    sleep(Duration::from_millis(4500)).await;
    send_signal(pid, "-CONT");
    let counted = finish(running, &number).await;
    assert!(counted >= 10, "counted {counted} times: this shows little");
    assert!(until_members(&nodes, &[1, 2, 3]).await > epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_listed_as_no_member_belongs_to_the_cluster_and_registers_when_it_is_told() {
    let mut nodes = cluster(2).await;
    let mut third = Processes::new_node(THREE).expect("free ports");
    third.member = false;
    nodes
        .alter(|config| config.nodes.push(third))
        .expect("written");
    nodes.launch(THREE).expect("starts");
    get(&nodes, 3, "/status")
        .await
        .says(503, "belongs to no cluster");
    // The orchestrator reads its file when it starts, and invites the node by itself.
    nodes.kill(ZERO).expect("killed");
    nodes.launch(ZERO).expect("restarts");
    until(&nodes, 3, |report| report.role == "unregistered").await;
    until_members(&nodes, &[1, 2]).await;
    let said = succeeded(&lockstep(&nodes, &["init"]));
    assert!(said.contains("is founded already"), "{said}");
    let joined = client(&nodes)
        .set_registered(&address(&nodes, 3), true)
        .await;
    assert!(joined.expect("an answer").registered);
    until_members(&nodes, &[1, 2, 3]).await;
    acquire(&nodes, 3, "job", TTL).await;
}

/// Runs `lockstep` with the cluster's file.
fn lockstep(nodes: &Processes, args: &[&str]) -> Output {
    let mut program = Command::new(PROGRAM);
    program.args(args).arg("--config").arg(nodes.config_file());
    program.output().expect("runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_leave_and_join_under_contention() {
    let mut nodes = cluster(3).await;
    let number = Guarded::default();
    let running = counters(&nodes, &[1, 2, 1], &number, Duration::from_secs(10));
    let at = address(&nodes, 3);
    let left = client(&nodes).set_registered(&at, false).await;
    assert!(!left.expect("an answer").registered);
    let first = until_members(&nodes, &[1, 2]).await;
    let report = report(&nodes, 3).await.expect("answers");
    assert_eq!(
        (report.role.as_str(), report.leader),
        ("unregistered", None)
    );
    post(&nodes, 3, "/locks/number/acquire", "")
        .await
        .says(503, "this node is not to be a member");
    // It stays so when it is restarted, and another can be added meanwhile, which nobody's file lists.
    nodes.kill(THREE).expect("killed");
    nodes.launch(THREE).expect("restarts");
    let mut fourth = Processes::new_node(NodeId(4)).expect("free ports");
    fourth.data_directory = nodes.data_directory(ZERO).join("../4");
    let added = AddBody {
        id: NodeId(4),
        peer_address: fourth.peer_address.clone(),
        client_address: fourth.client_address.clone(),
        register: true,
    };
    nodes
        .alter(|config| config.nodes.push(fourth))
        .expect("written");
    nodes.launch(NodeId(4)).expect("starts");
    let already = client(&nodes).add(&added).await.expect("added");
    assert!(!already);
    let second = until_members(&nodes, &[1, 2, 4]).await;
    let already = client(&nodes).add(&added).await.expect("added before");
    assert!(already);
    let joined = client(&nodes).set_registered(&at, true).await;
    assert!(joined.expect("an answer").registered);
    let third = until_members(&nodes, &[1, 2, 3, 4]).await;
    assert!(first < second && second < third);
    let counted = finish(running, &number).await;
    assert!(counted >= 10, "counted {counted} times: this shows little");
    let grant = acquire(&nodes, 4, "number", TTL).await;
    assert_eq!(grant.token.epoch, third);
}

/// A member leaves and comes back while one holds a lock and another waits for it, for longer than an epoch
/// waits for the holders of a node that leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_a_lock_holds_it_while_others_leave_and_join() {
    let timing = Timing {
        drain_ms: 500,
        ..timing()
    };
    let nodes = cluster_with(3, timing).await;
    let grant = acquire(&nodes, 1, "job", Duration::from_secs(60)).await;
    let holder = Holder::keep(&client_of(&nodes, 1), grant.clone());
    let mut waiting = client_of(&nodes, 2);
    let next = tokio::spawn(async move { waiting.acquire("job", PATIENCE, TTL).await });
    until_waiting(&nodes, 2, 1).await;
    let at = address(&nodes, 3);
    for (registered, members) in [(false, &[1, 2][..]), (true, &[1, 2, 3])] {
        let set = client_of(&nodes, 3).set_registered(&at, registered).await;
        assert_eq!(set.expect("an answer").registered, registered);
        until_members(&nodes, members).await;
        sleep(Duration::from_secs(1)).await;
    }
    assert!(!next.is_finished());
    let held = Duration::from_millis(1);
    let lost = tokio::time::timeout(held, holder.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(holder.grant().token, grant.token);
    assert!(holder.release().await.expect("an answer"), "it was held");
    let next = next.await.expect("asked").expect("an answer");
    let next = next.expect("granted");
    assert!(next.token > grant.token);
    assert!(next.token.epoch > grant.token.epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_for_too_long_at_a_node_that_leaves_is_revoked() {
    let timing = Timing {
        drain_ms: 500,
        ..timing()
    };
    let nodes = cluster_with(3, timing).await;
    let grant = acquire(&nodes, 3, "job", Duration::from_secs(60)).await;
    let holder = Holder::keep(&client_of(&nodes, 3), grant.clone());
    let at = address(&nodes, 3);
    let leaving = tokio::spawn(async move {
        let client = Client::new(vec![at.clone()], PATIENCE).expect("a client");
        client.set_registered(&at, false).await
    });
    let loss = holder.lost().await;
    assert!(matches!(loss, Loss::Told(_)), "{loss:?}");
    leaving.await.expect("asked").expect("an answer");
    until_members(&nodes, &[1, 2]).await;
    let next = acquire(&nodes, 2, "job", TTL).await;
    assert!(next.token > grant.token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_whose_client_is_gone_is_given_up() {
    let nodes = cluster(3).await;
    let grant = acquire(&nodes, 1, "job", TTL).await;
    let url = format!("http://{}/locks/job/acquire", address(&nodes, 2));
    let waiting = tokio::spawn(
        crate::support::locks::http()
            .post(url)
            .body(r#"{"wait_ms": 60000}"#)
            .send(),
    );
    until_waiting(&nodes, 2, 1).await;
    waiting.abort();
    let given_up = until(&nodes, 2, |report| {
        let own = report.member.as_ref();
        own.is_some_and(|own| own.waiting == 0 && own.sessions == 0)
    });
    given_up.await;
    // Nobody is left in front of the next.
    client_of(&nodes, 1)
        .end(grant.session)
        .await
        .expect("released");
    acquire(&nodes, 3, "job", TTL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_granted_in_the_order_of_their_time_stamps() {
    let nodes = cluster(3).await;
    let first = acquire(&nodes, 1, "job", TTL).await;
    let mut waiting = JoinSet::new();
    for (place, id) in [2, 3, 1, 2].into_iter().enumerate() {
        let mut client = client_of(&nodes, id);
        waiting.spawn(async move {
            let grant = client.acquire("job", PATIENCE, TTL).await;
            let grant = grant.expect("an answer").expect("granted");
            client.end(grant.session).await.expect("released");
            (place, grant.token)
        });
        // Each has been heard of by the others when the next one comes.
        until_waiting(&nodes, id, if place == 3 { 2 } else { 1 }).await;
        sleep(Duration::from_millis(300)).await;
    }
    client_of(&nodes, 1)
        .end(first.session)
        .await
        .expect("released");
    let mut granted = waiting.join_all().await;
    granted.sort_by_key(|(_, token)| *token);
    let places: Vec<usize> = granted.iter().map(|(place, _)| *place).collect();
    // The last is the second claim of its node, which requests for one at a time.
    assert_eq!(places, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_lost_its_disk_is_refused_and_comes_back_under_another_id() {
    let mut nodes = cluster(3).await;
    nodes.kill(THREE).expect("killed");
    fs::remove_dir_all(nodes.data_directory(THREE)).expect("emptied");
    nodes.launch(THREE).expect("listens");
    let end = Instant::now() + PATIENCE;
    loop {
        let page = get(&nodes, 3, "/status").await;
        if page
            .text
            .contains("what it has acknowledged on the first is lost")
        {
            assert!(page.text.contains("lockstep locks add"), "{page:?}");
            break;
        }
        assert!(Instant::now() < end, "{page:?}\n{}", nodes.log_tails());
        sleep(Duration::from_millis(50)).await;
    }
    until_members(&nodes, &[1, 2]).await;
    nodes.kill(THREE).expect("killed");
    nodes
        .alter(|config| {
            let lost = config.nodes.iter_mut().find(|node| node.id == THREE);
            let lost = lost.expect("listed");
            (lost.id, lost.data_directory) = (NodeId(4), "data/4".into());
        })
        .expect("written");
    // The orchestrator's file lists the new node when it is restarted.
    nodes.kill(ZERO).expect("killed");
    nodes.launch(NodeId(4)).expect("starts");
    nodes.launch(ZERO).expect("restarts");
    until_members(&nodes, &[1, 2, 4]).await;
    acquire(&nodes, 4, "job", TTL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_or_a_disk_that_says_otherwise_starts_nothing() {
    let mut nodes = cluster(2).await;
    nodes.kill_all().expect("killed");
    let start = |nodes: &Processes, id: &str| {
        let output = Command::new(PROGRAM)
            .args(["node", "--stop-with-stdin", "--id", id, "--config"])
            .arg(nodes.config_file())
            .stdin(Stdio::piped())
            .output()
            .expect("runs");
        crate::support::processes::refused(&output)
    };
    nodes
        .alter(|config| config.locks.orchestrator = NodeId(1))
        .expect("written");
    let said = start(&nodes, "1");
    assert!(
        said.contains("this cluster was founded under node 0, which is fixed"),
        "{said}"
    );
    nodes
        .alter(|config| config.locks.orchestrator = ZERO)
        .expect("written");
    let directory = nodes.data_directory(NodeId(1));
    for file in ["registry", "starts"] {
        let whole = fs::read_to_string(directory.join(file)).expect("text");
        fs::write(directory.join(file), &whole[1..]).expect("written");
        let said = start(&nodes, "1");
        assert!(
            said.contains(&format!("{file} is damaged")) && said.contains("Nothing was started"),
            "{said}"
        );
        fs::write(directory.join(file), whole).expect("written");
    }
    nodes.launch_all().expect("restarts");
    until_members(&nodes, &[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_ttl_and_its_client_is_told() {
    let nodes = cluster(2).await;
    let ttl = Duration::from_secs(2);
    let grant = acquire(&nodes, 1, "job", ttl).await;
    // Kept alive it outlives its TTL.
    let mut owner = client_of(&nodes, 1);
    for _ in 0..5 {
        sleep(ttl / 4).await;
        let page = owner.renew_session(grant.session).await.expect("it lives");
        assert_eq!(page.locks.len(), 1, "{page:?}");
    }
    acquire(&nodes, 2, "job", TTL).await;
    let told = owner.renew_session(grant.session).await;
    let told = told.expect_err("it is over").to_string();
    assert!(told.contains("it has run out or was ended"), "{told}");
    let unknown = SessionId {
        key: grant.session.key ^ 1,
        number: grant.session.number + 1_000_000,
        ..grant.session
    };
    let told = owner.renew_session(unknown).await;
    let told = told.expect_err("there is none").to_string();
    assert!(told.contains("there is no such session"), "{told}");
}
