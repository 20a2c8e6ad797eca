//! SWIM, running: one task that owns the state, the timers and the socket.

use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use foca::{
    AccumulatingRuntime, Foca, NoCustomBroadcast, OwnedNotification, PeriodicParams, PostcardCodec,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::MAX_PACKET_BYTES;
use super::counts::SwimCounts;
use super::member::Member;
use super::members::Members;
use super::packet::{Envelope, MAX_SWIM_BYTES, Packet, Rejected};
use super::schedule::Schedule;
use crate::counter::config::Timing;

/// So many members are asked to ask one that does not answer.
const INDIRECT_PROBES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);
/// Each piece of news goes with so many packets.
const TRANSMISSIONS: NonZeroU8 = NonZeroU8::MIN.saturating_add(9);
/// A node that is gone is remembered for so long, and may come back sooner in another life.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause after the socket has failed.
const PAUSE: Duration = Duration::from_millis(100);

/// What has become of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is there.
    Up(Member),
    /// It is there in another life: it was started anew, or had been taken for dead.
    Replaced(Member),
    /// It is not there any more.
    Down(Member),
}

/// What a node's SWIM needs to know.
pub(crate) struct Settings {
    pub(crate) own: Member,
    pub(crate) timing: Timing,
    /// Where it asks who is there.
    pub(crate) seeds: Vec<String>,
    pub(crate) envelope: Envelope,
    /// Seeds the choice of members.
    pub(crate) seed: u64,
}

/// A node's SWIM.
pub(crate) struct Detector {
    foca: Foca<Member, PostcardCodec, StdRng, NoCustomBroadcast>,
    outbox: AccumulatingRuntime<Member>,
    schedule: Schedule,
    socket: Arc<UdpSocket>,
    envelope: Envelope,
    seeds: Vec<String>,
    /// How often the seeds are asked.
    period: Duration,
    members: Arc<Members>,
    counts: Arc<SwimCounts>,
    changes: mpsc::UnboundedSender<Change>,
}

fn config(timing: &Timing) -> foca::Config {
    let periodic = |frequency, count: usize| {
        let num_members = NonZeroUsize::new(count)?;
        Some(PeriodicParams {
            frequency,
            num_members,
        })
    };
    foca::Config {
        probe_period: timing.probe(),
        probe_rtt: timing.probe() / 3,
        num_indirect_probes: INDIRECT_PROBES,
        max_transmissions: TRANSMISSIONS,
        suspect_to_down_after: timing.suspect(),
        remove_down_after: Some(REMEMBERED),
        max_packet_size: NonZeroUsize::new(MAX_SWIM_BYTES).unwrap_or(NonZeroUsize::MIN),
        // A node that was cut off hears of having been given up, and comes back in another life.
        notify_down_members: true,
        periodic_announce: periodic(30 * timing.probe(), 1),
        periodic_announce_to_down_members: periodic(5 * timing.probe(), 2),
        periodic_gossip: periodic(timing.probe() / 5, 3),
    }
}

impl Detector {
    pub(crate) fn new(
        settings: Settings,
        socket: UdpSocket,
        members: Arc<Members>,
        counts: Arc<SwimCounts>,
        changes: mpsc::UnboundedSender<Change>,
    ) -> Self {
        let Settings {
            own,
            timing,
            seeds,
            envelope,
            seed,
        } = settings;
        let random = StdRng::seed_from_u64(seed);
        Self {
            foca: Foca::new(own, config(&timing), random, PostcardCodec),
            outbox: AccumulatingRuntime::new(),
            schedule: Schedule::default(),
            socket: Arc::new(socket),
            envelope,
            seeds,
            period: timing.probe(),
            members,
            counts,
            changes,
        }
    }

    /// Runs until it is told to stop, and says to the others that this node leaves.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        // One byte more: what is too large must not look as if it fitted.
        let mut buffer = [0; MAX_PACKET_BYTES + 1];
        let mut ask_at = Instant::now();
        loop {
            let timer_at = self.schedule.next().unwrap_or(ask_at).min(ask_at);
            tokio::select! {
                biased;
                () = told_to_stop(&mut stop) => break,
                () = sleep_until(timer_at) => {
                    let now = Instant::now();
                    for timer in self.schedule.take(now) {
                        let handled = self.foca.handle_timer(timer, &mut self.outbox);
                        self.note(handled, None);
                    }
                    if ask_at <= now {
                        ask_at = now + self.period;
                        self.ask_seeds();
                    }
                }
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.receive(&buffer[..length], from),
                    Err(error) => {
                        tracing::debug!(%error, "the socket of SWIM has failed: trying again");
                        sleep(PAUSE).await;
                    }
                },
            }
            self.act();
        }
        let left = self.foca.leave_cluster(&mut self.outbox);
        self.note(left, None);
        self.act();
    }

    /// Asks the addresses where nobody is known to be who is there.
    fn ask_seeds(&self) {
        let known = |seed: &&String| {
            let mut active = self.foca.iter_members();
            active.any(|member| member.id().peer_address == **seed)
        };
        let who = Packet::Who(self.foca.identity().node);
        for seed in self.seeds.iter().filter(|seed| !known(seed)) {
            self.send(seed, &who);
        }
    }

    fn receive(&mut self, bytes: &[u8], from: SocketAddr) {
        let packet = match self.envelope.open(bytes) {
            Ok(packet) => packet,
            Err(rejected) => {
                match rejected {
                    Rejected::Stranger => self.counts.strangers.inc(),
                    Rejected::Malformed => self.counts.malformed.inc(),
                };
                tracing::debug!(%from, ?rejected, "a packet is dropped");
                return;
            }
        };
        self.counts.received.inc();
        self.counts.received_bytes.inc_by(bytes.len() as u64);
        match packet {
            Packet::Swim(bytes) => {
                let handled = self.foca.handle_data(&bytes, &mut self.outbox);
                self.note(handled, Some(from));
            }
            Packet::Who(_) => {
                let here = Packet::Here(Box::new(self.foca.identity().clone()));
                send_to(&self.socket, &self.envelope, &self.counts, from, &here);
            }
            Packet::Here(member) if member.node == self.foca.identity().node => {
                let own = self.foca.identity();
                if member.disk != own.disk {
                    tracing::error!(
                        node = %own.node, other = %from,
                        "another node says that it has this one's number: what both count is counted, \
                         but others know only one of them at a time. Give each node an id of its own"
                    );
                }
            }
            Packet::Here(member) => {
                let announced = self.foca.announce(*member, &mut self.outbox);
                self.note(announced, Some(from));
            }
        }
    }

    fn note(&self, handled: Result<(), foca::Error>, from: Option<SocketAddr>) {
        let Err(error) = handled else { return };
        let node = self.foca.identity().node;
        match error {
            foca::Error::DataFromOurselves => tracing::warn!(
                %node, ?from,
                "a packet of another node with this one's number, or of this one's past, is dropped"
            ),
            foca::Error::Decode(_) | foca::Error::MalformedPacket | foca::Error::DataTooBig => {
                self.counts.malformed.inc();
                tracing::debug!(%node, ?from, %error, "a packet of SWIM's is dropped");
            }
            error => tracing::warn!(%node, ?from, %error, "SWIM goes on after a fault"),
        }
    }

    /// Does what SWIM wants done: sends, sets timers, tells of changes.
    fn act(&mut self) {
        while let Some((to, bytes)) = self.outbox.to_send() {
            self.send(&to.peer_address, &Packet::Swim(bytes.to_vec()));
        }
        let now = Instant::now();
        while let Some((after, timer)) = self.outbox.to_schedule() {
            self.schedule.add(now + after, timer);
        }
        while let Some(notification) = self.outbox.to_notify() {
            self.tell(notification);
        }
        let others = self.foca.iter_membership_state();
        let others = others.map(|member| (member.id().clone(), member.state().into()));
        self.members.set(others);
    }

    fn tell(&self, notification: OwnedNotification<Member>) {
        let node = self.foca.identity().node;
        let change = match notification {
            OwnedNotification::MemberUp(member) => Change::Up(member),
            OwnedNotification::MemberDown(member) => Change::Down(member),
            OwnedNotification::Rename(_, member) => Change::Replaced(member),
            OwnedNotification::Rejoin(own) => {
                tracing::warn!(%node, life = own.life, "was taken for dead, and comes back");
                return;
            }
            OwnedNotification::Active => return tracing::info!(%node, "others know this node"),
            OwnedNotification::Idle => return tracing::info!(%node, "no other node is there"),
            OwnedNotification::Defunct => return tracing::info!(%node, "has left"),
        };
        // Nobody who follows them any more: the node ends.
        let _ = self.changes.send(change);
    }

    /// Sends a packet to `host:port`. A name is looked up beside, for that may take long.
    fn send(&self, address: &str, packet: &Packet) {
        if let Ok(to) = address.parse() {
            return send_to(&self.socket, &self.envelope, &self.counts, to, packet);
        }
        let (socket, envelope) = (Arc::clone(&self.socket), self.envelope.clone());
        let (counts, address, packet) =
            (Arc::clone(&self.counts), address.to_owned(), packet.clone());
        let is_ipv4 = socket.local_addr().is_ok_and(|own| own.is_ipv4());
        tokio::spawn(async move {
            let found = tokio::net::lookup_host(&address).await;
            let mut found = found.into_iter().flatten();
            match found.find(|to| to.is_ipv4() == is_ipv4) {
                Some(to) => send_to(&socket, &envelope, &counts, to, &packet),
                None => {
                    counts.unsent.inc();
                }
            }
        });
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can tell any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn send_to(
    socket: &UdpSocket,
    envelope: &Envelope,
    counts: &SwimCounts,
    to: SocketAddr,
    packet: &Packet,
) {
    let sealed = envelope.seal(packet);
    let sent = sealed.and_then(|bytes| socket.try_send_to(&bytes, to).ok());
    match sent {
        Some(bytes) => {
            counts.sent.inc();
            counts.sent_bytes.inc_by(bytes as u64);
        }
        // As if the network had lost it.
        None => {
            counts.unsent.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use models::counter::g_counter::DataCentre;
    use models::{DiskId, NodeId};

    use super::super::members::MemberState;
    use super::*;
    use crate::runtime::identity::ClusterId;

    struct Running {
        address: String,
        members: Arc<Members>,
        changes: mpsc::UnboundedReceiver<Change>,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Running {
        async fn stop(self) {
            self.stop.send_replace(true);
            self.task.await.expect("ends");
        }
    }

    fn timing() -> Timing {
        Timing {
            probe_ms: 60,
            suspect_ms: 200,
            ..Timing::default()
        }
    }

    async fn start(node: u16, life: u64, at: &str, seeds: &[&str], cluster: &str) -> Running {
        let socket = UdpSocket::bind(at).await.expect("binds");
        let address = socket.local_addr().expect("bound").to_string();
        let own = Member {
            node: NodeId(node),
            data_centre: DataCentre(0),
            disk: DiskId([node as u8; 16]),
            life,
            renewals: 0,
            peer_address: address.clone(),
            client_address: format!("client:{node}"),
        };
        let settings = Settings {
            own,
            timing: timing(),
            seeds: seeds.iter().map(|&seed| seed.to_owned()).collect(),
            envelope: Envelope::new(ClusterId::of_name(cluster), None),
            seed: u64::from(node),
        };
        let members = Arc::new(Members::default());
        let (told, changes) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let detector = Detector::new(settings, socket, members.clone(), Arc::default(), told);
        Running {
            address,
            members,
            changes,
            stop,
            task: tokio::spawn(detector.run(stopped)),
        }
    }

    const ANY: &str = "127.0.0.1:0";

    async fn next(running: &mut Running) -> Change {
        let next = tokio::time::timeout(Duration::from_secs(20), running.changes.recv());
        next.await.expect("in time").expect("it runs")
    }

    async fn until(running: &mut Running, is_it: impl Fn(&Change) -> bool) {
        while !is_it(&next(running).await) {}
    }

    fn is_up(node: u16) -> impl Fn(&Change) -> bool {
        move |change| matches!(change, Change::Up(member) if member.node == NodeId(node))
    }

    fn is_down(node: u16) -> impl Fn(&Change) -> bool {
        move |change| matches!(change, Change::Down(member) if member.node == NodeId(node))
    }

    #[tokio::test]
    async fn whoever_knows_one_member_comes_to_know_all_and_who_leaves_is_missed_at_once() {
        let mut one = start(1, 1, ANY, &[], "blue").await;
        let two = start(2, 1, ANY, &[&one.address], "blue").await;
        let mut three = start(3, 1, ANY, &[&two.address], "blue").await;
        until(&mut one, is_up(3)).await;
        until(&mut three, is_up(1)).await;
        two.stop().await;
        until(&mut one, is_down(2)).await;
        until(&mut three, is_down(2)).await;
        assert_eq!(one.members.count(MemberState::Alive), 1);
        one.stop().await;
        three.stop().await;
    }

    #[tokio::test]
    async fn who_does_not_answer_is_given_up_and_who_comes_back_is_another_life() {
        let mut one = start(1, 1, ANY, &[], "blue").await;
        let two = start(2, 1, ANY, &[&one.address], "blue").await;
        until(&mut one, is_up(2)).await;
        let address = two.address.clone();
        // As a process that is killed: it says nothing.
        two.task.abort();
        let _ = two.task.await;
        until(&mut one, is_down(2)).await;
        let again = start(2, 2, &address, &[&one.address], "blue").await;
        until(&mut one, is_up(2)).await;
        again.stop().await;
        one.stop().await;
    }

    /// A node whose clock was set back, or which was cut off: it is told, and gets ahead of its past.
    #[tokio::test]
    async fn who_comes_back_in_a_life_that_is_over_is_told_and_begins_another() {
        let mut one = start(1, 1, ANY, &[], "blue").await;
        let two = start(2, 1000, ANY, &[&one.address], "blue").await;
        until(&mut one, is_up(2)).await;
        let address = two.address.clone();
        two.stop().await;
        until(&mut one, is_down(2)).await;
        let again = start(2, 10, &address, &[&one.address], "blue").await;
        until(&mut one, is_up(2)).await;
        again.stop().await;
        one.stop().await;
    }

    #[tokio::test]
    async fn a_node_of_another_cluster_is_not_heard() {
        let mut one = start(1, 1, ANY, &[], "blue").await;
        let red = start(3, 1, ANY, &[&one.address], "red").await;
        let two = start(2, 1, ANY, &[&one.address], "blue").await;
        assert!(is_up(2)(&next(&mut one).await));
        sleep(5 * timing().probe()).await;
        assert_eq!(red.members.count(MemberState::Alive), 0);
        assert_eq!(one.members.count(MemberState::Alive), 1);
        for running in [one, two, red] {
            running.stop().await;
        }
    }
}
