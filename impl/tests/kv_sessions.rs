//! Which answer reaches whom, and the sessions of requests without one.

use std::collections::BTreeSet;

use lockstep::kv::request::pending::{Verdict, Waiters};
use lockstep::kv::request::session_pool::{FIRST_RESERVED, Sessions};
use lockstep::kv::store::{Outcome, Response, Revision};
use models::NodeId;
use models::raft::Event;
use models::raft::log::Term;
use models::raft::session::{ClientId, Position, RequestId, Sequence};
use tokio::sync::oneshot::Receiver;

fn request(client: u64, sequence: u64) -> RequestId {
    RequestId {
        client: ClientId::new(client),
        sequence: Sequence(sequence),
    }
}

fn reply(revision: u64) -> Response {
    Response {
        revision: Revision(revision),
        outcome: Ok(Outcome::Compacted),
    }
}

fn ask(waiters: &Waiters, request: RequestId) -> Receiver<Verdict> {
    waiters.ask(request, || Ok::<(), ()>(())).expect("asked")
}

/// RAFT-6: one waiter for all, and a client got another's result.
#[test]
fn answers_go_by_request_and_not_by_order() {
    let waiters = Waiters::new(NodeId(1));
    let (mut one, mut two) = (ask(&waiters, request(1, 1)), ask(&waiters, request(2, 1)));
    let answer = |client, revision| Event::Reply {
        request: request(client, 1),
        response: reply(revision),
    };
    waiters.take(answer(2, 22));
    assert!(one.try_recv().is_err(), "that was another's answer");
    waiters.take(answer(1, 11));
    assert_eq!(one.try_recv(), Ok(Verdict::Reply(reply(11))));
    assert_eq!(two.try_recv(), Ok(Verdict::Reply(reply(22))));
    assert!(waiters.is_empty());
    waiters.take(answer(1, 11));
    assert!(waiters.is_empty(), "nobody waits for a second answer");
}

#[test]
fn two_tries_of_one_request_both_get_its_reply_and_each_its_own_redirect() {
    let waiters = Waiters::new(NodeId(1));
    let id = request(1, 1);
    let redirect = || Event::Redirect {
        request: id,
        leader: Some(NodeId(2)),
    };
    let (mut one, mut two) = (ask(&waiters, id), ask(&waiters, id));
    waiters.take(redirect());
    assert_eq!(one.try_recv(), Ok(Verdict::Redirect(Some(NodeId(2)))));
    assert!(
        two.try_recv().is_err(),
        "the second try may still be done here"
    );
    let mut three = ask(&waiters, id);
    waiters.take(Event::Reply {
        request: id,
        response: reply(5),
    });
    assert_eq!(two.try_recv(), Ok(Verdict::Reply(reply(5))));
    assert_eq!(three.try_recv(), Ok(Verdict::Reply(reply(5))));
}

#[test]
fn whoever_waits_for_a_deposed_leader_is_told() {
    let waiters = Waiters::new(NodeId(1));
    waiters.take(Event::Leading { term: Term(1) });
    assert_eq!(waiters.view().borrow().leader, Some(NodeId(1)));
    let mut waiting = ask(&waiters, request(1, 1));
    waiters.take(Event::Following {
        term: Term(2),
        leader: None,
    });
    assert_eq!(waiting.try_recv(), Ok(Verdict::Deposed));
    assert_eq!(waiters.view().borrow().leader, None);
}

#[test]
fn who_gave_up_or_was_refused_leaves_nothing_behind() {
    let waiters = Waiters::new(NodeId(1));
    assert_eq!(
        waiters.ask(request(1, 1), || Err("busy")).err(),
        Some("busy")
    );
    assert!(waiters.is_empty());
    let id = request(1, 2);
    let (one, mut two) = (ask(&waiters, id), ask(&waiters, id));
    drop(one);
    waiters.forget(id);
    assert_eq!(waiters.len(), 1, "another try still waits");
    two.close();
    waiters.forget(id);
    assert!(waiters.is_empty());
}

#[test]
fn slots_are_used_again_and_never_a_sequence() {
    let sessions = Sessions::new(7, 2);
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let lease = sessions.lease().expect("free");
        assert!(
            seen.insert(lease.request()),
            "each request has an id of its own"
        );
    }
    let clients: BTreeSet<_> = seen.iter().map(|request| request.client).collect();
    assert_eq!(clients.len(), 1, "one at a time needs one session");
    let (one, two) = (
        sessions.lease().expect("free"),
        sessions.lease().expect("free"),
    );
    assert_ne!(one.request().client, two.request().client);
    assert!(sessions.lease().is_none(), "all are in use");
    drop(one);
    assert!(sessions.lease().is_some());
}

#[test]
fn a_slot_whose_session_has_expired_begins_another() {
    let sessions = Sessions::new(7, 1);
    let mut lease = sessions.lease().expect("free");
    let expired = lease.request();
    lease.renew(Position(5));
    let anew = lease.request();
    assert_eq!(anew.client.number, expired.client.number);
    assert_ne!(anew.client, expired.client);
    drop(lease);
    let next = sessions.lease().expect("free").request();
    assert_eq!(
        (next.client, next.sequence.0),
        (anew.client, anew.sequence.0 + 1)
    );
}

#[test]
fn a_processs_ids_are_its_own() {
    let ids = |seed| {
        let sessions = Sessions::new(seed, 50);
        let leases: Vec<_> = (0..50).map(|_| sessions.lease().expect("free")).collect();
        let mut ids: Vec<u64> = leases
            .iter()
            .map(|lease| lease.request().client.number)
            .collect();
        ids.push(sessions.read().client.number);
        ids
    };
    let all: Vec<u64> = (0..50).flat_map(ids).collect();
    assert!(all.iter().all(|id| *id >= FIRST_RESERVED));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(ids(3), ids(3), "the seed decides");
}
