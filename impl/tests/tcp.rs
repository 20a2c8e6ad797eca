//! Peers over TCP: who is let in, what a bad peer can and cannot do, and a cluster.

use std::sync::Arc;
use std::time::Duration;

use lockstep::runtime::metrics::Metrics;
use lockstep::runtime::transport::tcp::{Known, Tcp, TcpConfig, TcpTransport};
use lockstep::runtime::transport::{Deliver, Transport};
use models::NodeId;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::cluster::{Member, config, listener};
use crate::support::proxy::Proxy;
use crate::support::tally::{Command, Event};
use crate::support::watch::{Watch, eventually, watch};

/// The bare network of one node: sends text, shows what arrives.
pub(crate) struct End {
    pub(crate) tcp: Tcp<String>,
    out: TcpTransport<String>,
    pub(crate) arrived: Watch<(NodeId, String)>,
    pub(crate) metrics: Arc<Metrics>,
}

#[derive(Clone)]
struct Show(std::sync::mpsc::Sender<(NodeId, String)>);

impl Deliver<String> for Show {
    fn deliver(&self, from: NodeId, message: String) {
        // A test that is over does not care for what still happens.
        drop(self.0.send((from, message)));
    }
}

impl End {
    pub(crate) fn start(listener: TcpListener, config: TcpConfig) -> Self {
        let (sender, arrived) = watch();
        let metrics = Arc::new(Metrics::default());
        let (tcp, out) =
            Tcp::start(listener, config, Show(sender), metrics.clone()).expect("starts");
        Self {
            tcp,
            out,
            arrived,
            metrics,
        }
    }

    pub(crate) fn send(&mut self, to: u16, text: impl Into<String>) {
        self.out.send(NodeId(to), text.into());
    }

    pub(crate) fn expect(&self, from: u16, text: impl Into<String>) {
        self.arrived.expect((NodeId(from), text.into()));
    }

    /// Sends until it arrives: what was on its way when a connection broke is lost.
    pub(crate) fn send_until_it_arrives(&mut self, to: &End, to_id: u16, from: u16, text: &str) {
        let wanted = (NodeId(from), text.to_owned());
        for _ in 0..500 {
            self.send(to_id, text);
            std::thread::sleep(Duration::from_millis(10));
            if to.arrived.so_far().contains(&wanted) {
                return;
            }
        }
        panic!("`{text}` never arrived");
    }
}

/// Nodes 1 and 2, of which 1 calls itself what `alter` makes of it.
async fn pair(alter: impl FnOnce(&mut TcpConfig)) -> (End, End) {
    let ((l1, a1), (l2, a2)) = (listener().await, listener().await);
    let mut first = config(1, &[(2, a2)]);
    alter(&mut first);
    (End::start(l1, first), End::start(l2, config(2, &[(1, a1)])))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_and_share_writes() {
    let (mut one, two) = pair(|_| {}).await;
    for n in 0..2000 {
        one.send(2, n.to_string());
    }
    for n in 0..2000 {
        two.expect(1, n.to_string());
    }
    assert_eq!(two.metrics.messages_received.get(), 2000);
    assert!(
        one.metrics.writes.get() < 200,
        "{} writes",
        one.metrics.writes.get()
    );
    assert_eq!(
        one.metrics.sent_bytes.get(),
        two.metrics.received_bytes.get()
    );
}

/// Asserts that node 2 refuses node 1, and that both notice.
async fn check_refused(alter: impl FnOnce(&mut TcpConfig)) {
    let (mut one, two) = pair(alter).await;
    one.send(2, "let me in");
    eventually("it is refused", || two.metrics.handshakes_refused.get() > 0);
    eventually("it is told so", || one.metrics.handshakes_refused.get() > 0);
    two.arrived.expect_nothing();
    assert_eq!(two.metrics.connections_accepted.get(), 0);
    assert_eq!(one.metrics.connects.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_is_refused() {
    check_refused(|config| config.identity.cluster = "green".into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_protocol_is_refused() {
    check_refused(|config| config.identity.protocol = "raft".into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_version_is_refused() {
    check_refused(|config| config.identity.version = 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_no_peer_is_refused() {
    check_refused(|config| config.identity.node = NodeId(7)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_calls_itself_as_we_do_is_refused() {
    check_refused(|config| config.identity.node = NodeId(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_for_another_node_is_refused() {
    let ((l1, a1), (l2, a2)) = (listener().await, listener().await);
    let mut one = End::start(l1, config(1, &[(3, a2)]));
    let two = End::start(l2, config(2, &[(1, a1)]));
    one.send(3, "are you three?");
    eventually("it is refused", || two.metrics.handshakes_refused.get() > 0);
    two.arrived.expect_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_frame_closes_its_connection_only() {
    let ((l1, a1), (l2, a2), (l3, a3)) = (listener().await, listener().await, listener().await);
    let proxy = Proxy::before(a2).await;
    let mut one = End::start(l1, config(1, &[(2, proxy.address)]));
    let two = End::start(l2, config(2, &[(1, a1), (3, a3)]));
    let mut three = End::start(l3, config(3, &[(2, a2)]));
    one.send(2, "before");
    two.expect(1, "before");
    three.send(2, "hello");
    two.expect(3, "hello");
    proxy.spoil();
    one.send(2, "spoiled");
    eventually("it is noticed", || two.metrics.malformed_frames.get() == 1);
    three.send(2, "still here");
    two.expect(3, "still here");
    assert_eq!(three.metrics.disconnects.get(), 0);
    one.send_until_it_arrives(&two, 2, 1, "after");
    assert_eq!(two.metrics.malformed_frames.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_talks_nonsense_is_cut_off() {
    let (mut one, two) = pair(|_| {}).await;
    let mut stranger = TcpStream::connect(two.tcp.local_address())
        .await
        .expect("connects");
    stranger
        .write_all(b"GET / HTTP/1.1\r\nHost: there\r\n\r\n")
        .await
        .expect("writes");
    let mut answer = Vec::new();
    // An error is an end too: the connection may be reset.
    let _ = stranger.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    assert_eq!(two.metrics.malformed_frames.get(), 1);
    one.send(2, "unharmed");
    two.expect(1, "unharmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_says_nothing_is_cut_off() {
    let ((l1, a1), (l2, _)) = (listener().await, listener().await);
    let patience = Duration::from_millis(50);
    let two = End::start(
        l2,
        TcpConfig {
            handshake_timeout: patience,
            ..config(2, &[(1, a1)])
        },
    );
    drop(l1);
    let mut stranger = TcpStream::connect(two.tcp.local_address())
        .await
        .expect("connects");
    let cut = tokio::time::timeout(Duration::from_secs(5), stranger.read(&mut [0])).await;
    assert!(matches!(cut, Ok(Ok(0) | Err(_))), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_is_not_sent() {
    let (mut one, two) = pair(|config| config.max_message_bytes = 100).await;
    one.send(2, "x".repeat(101));
    one.send(2, "small");
    two.expect(1, "small");
    assert_eq!(one.metrics.messages_dropped.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_sends_too_much_is_cut_off_and_may_come_back() {
    let ((l1, a1), (l2, a2)) = (listener().await, listener().await);
    let mut one = End::start(l1, config(1, &[(2, a2)]));
    let two = End::start(
        l2,
        TcpConfig {
            max_message_bytes: 100,
            ..config(2, &[(1, a1)])
        },
    );
    one.send(2, "x".repeat(5000));
    eventually("it is cut off", || two.metrics.malformed_frames.get() == 1);
    one.send_until_it_arrives(&two, 2, 1, "small");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_restarts_is_found_again() {
    let ((l1, a1), (l2, a2), (again, a3)) = (listener().await, listener().await, listener().await);
    let proxy = Proxy::before(a2).await;
    let mut one = End::start(l1, config(1, &[(2, proxy.address)]));
    let two = End::start(l2, config(2, &[(1, a1)]));
    one.send(2, "first");
    two.expect(1, "first");
    two.tcp.shutdown().await;
    eventually("the loss is noticed", || one.metrics.disconnects.get() == 1);
    proxy.redirect(a3);
    let two = End::start(again, config(2, &[(1, a1)]));
    one.send_until_it_arrives(&two, 2, 1, "second");
    assert!(one.metrics.connects.get() >= 2);
}

/// Of two connections of one peer only the newer is read: else its messages could overtake
/// each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_connection_of_a_peer_replaces_the_older() {
    let ((l1, a1), (l2, a2), (again, _)) = (listener().await, listener().await, listener().await);
    let mut old = End::start(l1, config(1, &[(2, a2)]));
    let two = End::start(l2, config(2, &[(1, a1)]));
    old.send(2, "old");
    two.expect(1, "old");
    let mut new = End::start(again, config(1, &[(2, a2)]));
    new.send(2, "new");
    two.expect(1, "new");
    eventually("the older is closed", || old.metrics.disconnects.get() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_holds_up_nobody_else() {
    let ((l1, a1), (l2, a2), (_silent, a3)) =
        (listener().await, listener().await, listener().await);
    let small = TcpConfig {
        queue_messages: 10,
        ..config(1, &[(2, a2), (3, a3)])
    };
    let mut one = End::start(l1, small);
    let two = End::start(l2, config(2, &[(1, a1)]));
    for n in 0..100 {
        one.send(3, "anybody there?");
        one.send(2, n.to_string());
        two.expect(1, n.to_string());
    }
    assert_eq!(one.metrics.messages_dropped.get(), 90);
}

/// Node 1 calls node 2 through the proxy, and each is as patient as it is told.
async fn pair_apart(
    first: impl FnOnce(&mut TcpConfig),
    second: impl FnOnce(&mut TcpConfig),
) -> (End, End, Proxy) {
    let ((l1, _), (l2, a2), (_, nobody)) = (listener().await, listener().await, listener().await);
    let proxy = Proxy::before(a2).await;
    let (mut one, mut two) = (config(1, &[(2, proxy.address)]), config(2, &[(1, nobody)]));
    first(&mut one);
    second(&mut two);
    (End::start(l1, one), End::start(l2, two), proxy)
}

fn impatient(config: &mut TcpConfig) {
    config.keep_alive = Duration::from_millis(50);
    config.dead_after = Duration::from_millis(500);
}

/// Shows life as often as an impatient peer wants, and bears any silence itself.
fn lively_and_patient(config: &mut TcpConfig) {
    config.keep_alive = Duration::from_millis(50);
    config.dead_after = Duration::from_secs(600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_notices_that_its_peer_reads_nothing_any_more() {
    let (mut one, two, proxy) = pair_apart(impatient, lively_and_patient).await;
    one.send(2, "before");
    two.expect(1, "before");
    proxy.swallow_back(true);
    eventually("the silence is noticed", || {
        one.metrics.peers_silent.get() > 0
    });
    assert_eq!(one.metrics.disconnects.get(), 1);
    assert_eq!(two.metrics.peers_silent.get(), 0);
    proxy.swallow_back(false);
    one.send_until_it_arrives(&two, 2, 1, "after");
}

/// Also while there is something to write, which the kernel of a dead host may not take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_has_much_to_say_notices_it_too() {
    let (mut one, two, proxy) = pair_apart(impatient, lively_and_patient).await;
    one.send(2, "before");
    two.expect(1, "before");
    proxy.swallow_back(true);
    proxy.swallow_forth(true);
    for _ in 0..100 {
        one.send(2, "x".repeat(100_000));
    }
    eventually("the silence is noticed", || {
        one.metrics.peers_silent.get() > 0
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_notices_that_its_peer_writes_nothing_any_more() {
    let (mut one, two, proxy) = pair_apart(lively_and_patient, impatient).await;
    one.send(2, "before");
    two.expect(1, "before");
    proxy.swallow_forth(true);
    eventually("the silence is noticed", || {
        two.metrics.peers_silent.get() > 0
    });
    eventually("the writer is told", || one.metrics.disconnects.get() > 0);
    assert_eq!(one.metrics.peers_silent.get(), 0);
    proxy.swallow_forth(false);
    one.send_until_it_arrives(&two, 2, 1, "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_nothing_to_carry_lives_on() {
    let patience = |config: &mut TcpConfig| {
        config.keep_alive = Duration::from_millis(100);
        config.dead_after = Duration::from_secs(2);
    };
    let (mut one, two, _proxy) = pair_apart(patience, patience).await;
    one.send(2, "before");
    two.expect(1, "before");
    tokio::time::sleep(Duration::from_secs(5)).await;
    one.send(2, "after");
    two.expect(1, "after");
    assert_eq!(one.metrics.disconnects.get(), 0);
    assert_eq!(
        two.metrics.messages_received.get(),
        2,
        "no sign of life is a message"
    );
}

/// What arrives of it is sign of life enough, and is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_message_over_a_slow_network_is_no_silence() {
    let (mut one, two, proxy) = pair_apart(impatient, impatient).await;
    one.send(2, "before");
    two.expect(1, "before");
    proxy.slow_down();
    let long = "x".repeat(400_000);
    one.send(2, long.clone());
    two.expect(1, long);
    assert_eq!(one.metrics.disconnects.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_found_by_its_name() {
    let ((l1, a1), (l2, a2)) = (listener().await, listener().await);
    let mut first = config(1, &[]);
    let name = format!("localhost:{}", a2.port());
    first.peers.insert(NodeId(2), name);
    let mut one = End::start(l1, first);
    let two = End::start(l2, config(2, &[(1, a1)]));
    one.send(2, "hello");
    two.expect(1, "hello");
}

/// However long a handshake may take: a peer does not wait until strangers have had their time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_that_say_nothing_keep_no_peer_out() {
    let ((l1, a1), (l2, a2)) = (listener().await, listener().await);
    let two = End::start(
        l2,
        TcpConfig {
            handshake_timeout: Duration::from_secs(600),
            ..config(2, &[(1, a1)])
        },
    );
    let mut strangers = Vec::new();
    for _ in 0..300 {
        strangers.push(TcpStream::connect(a2).await.expect("connects"));
    }
    let mut one = End::start(l1, config(1, &[(2, a2)]));
    one.send(2, "hello");
    two.expect(1, "hello");
    assert!(two.metrics.callers_evicted.get() >= 300 - 64);
    // The oldest had to go, and the newest is still there.
    let first = tokio::time::timeout(Duration::from_secs(5), strangers[0].read(&mut [0])).await;
    assert!(matches!(first, Ok(Ok(0) | Err(_))), "{first:?}");
    let last = tokio::time::timeout(Duration::from_millis(50), strangers[299].read(&mut [0])).await;
    assert!(last.is_err(), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_peer_is_cut_off_and_an_added_one_is_let_in() {
    let (mut one, mut two) = pair(|_| {}).await;
    one.send(2, "first");
    two.expect(1, "first");
    two.tcp.peers().remove(NodeId(1));
    eventually("the loss is noticed", || one.metrics.disconnects.get() == 1);
    eventually("it is not let in", || {
        two.metrics.handshakes_refused.get() > 0
    });
    two.send(1, "nobody");
    assert_eq!(two.metrics.messages_dropped.get(), 1);
    two.tcp
        .peers()
        .set(NodeId(1), one.tcp.local_address().to_string());
    one.send_until_it_arrives(&two, 2, 1, "again");
}

/// A node that was added while this one was away introduces itself. So does one that has left and
/// has not heard so: nobody calls it back for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_introduces_itself_is_a_peer_for_as_long_as_it_calls() {
    for is_added in [false, true] {
        let ((l1, a1), (l2, a2)) = (listener().await, listener().await);
        let mut first = config(1, &[]);
        first.queue_messages = 1 << 20;
        let disk = Some(first.identity.disk);
        let mut second = config(2, &[]);
        second.address = Some(a2.to_string());
        let (mut one, mut two) = (End::start(l1, first), End::start(l2, second));
        let invitation = None;
        let peers = two.tcp.peers();
        peers.set_known(NodeId(1), Known { disk, invitation });
        peers.set(NodeId(1), a1.to_string());
        two.send(1, "here I am");
        one.expect(2, "here I am");
        one.send(2, "welcome");
        two.expect(1, "welcome");
        if is_added {
            one.tcp.peers().set(NodeId(2), a2.to_string());
        }
        drop(two);
        let mut is_dropped = || {
            one.send(2, "are you there?");
            std::thread::sleep(Duration::from_millis(2));
            one.metrics.messages_dropped.get() > 0
        };
        let patience = if is_added { 300 } else { 3000 };
        let is_forgotten = (0..patience).any(|_| is_dropped());
        assert_eq!(is_forgotten, !is_added);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_writes_what_is_queued() {
    let (mut one, two) = pair(|_| {}).await;
    one.send(2, "first");
    two.expect(1, "first");
    for n in 0..1000 {
        one.send(2, n.to_string());
    }
    one.tcp.shutdown().await;
    for n in 0..1000 {
        two.expect(1, n.to_string());
    }
}

/// Three nodes, each with a journal of its own: all hear of all, also after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_tell_each_other_and_remember() {
    let directories = [(); 3].map(|()| tempdir().expect("tempdir"));
    let listeners = [listener().await, listener().await, listener().await];
    let addresses: Vec<_> = (1..)
        .zip(listeners.iter().map(|(_, address)| *address))
        .collect();
    let peers_of = |id: u16| {
        let others: Vec<_> = addresses
            .iter()
            .copied()
            .filter(|(peer, _)| *peer != id)
            .collect();
        config(id, &others)
    };
    let mut members: Vec<_> = (1..)
        .zip(listeners)
        .zip(&directories)
        .map(|((id, (listener, _)), directory)| {
            Member::start(peers_of(id), listener, directory.path())
        })
        .collect();
    for (n, member) in (1..).zip(&members) {
        member.node.inbox().ask(Command::Add(n)).expect("taken");
    }
    for (id, member) in (1..).zip(&members) {
        for peer in (1..=3).filter(|peer| *peer != id) {
            wait_until_heard(member, peer, u64::from(peer)).await;
        }
    }

    let last = members.pop().expect("three");
    last.stop().await;
    members[0]
        .node
        .inbox()
        .ask(Command::Add(10))
        .expect("taken");
    let (again, address) = listener().await;
    for member in &members {
        member.tcp.peers().set(NodeId(3), address.to_string());
    }
    let last = Member::start(peers_of(3), again, directories[2].path());
    last.events.expect(Event::Booted(3));
    wait_until_heard(&last, 2, 2).await;
    wait_until_heard(&last, 1, 11).await;
    last.node.inbox().ask(Command::Add(1)).expect("taken");
    wait_until_heard(&members[1], 3, 4).await;

    last.stop().await;
    for member in members {
        member.stop().await;
    }
}

async fn wait_until_heard(member: &Member, peer: u16, tally: u64) {
    for _ in 0..1000 {
        let heard = member
            .node
            .inbox()
            .inspect(move |node| node.durable().heard.get(&NodeId(peer)).copied());
        if heard.await.expect("runs") == Some(tally) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{tally} of n{peer} was not heard");
}
