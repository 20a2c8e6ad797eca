//! The dictionary that all members share.

use std::time::Duration;

use lockstep::heartbeat::{Event, HeartbeatError, Member};
use tokio::time::{sleep, timeout};

use crate::support::heartbeat::{PATIENCE, started};

/// Keys and values are bytes: nothing of them is taken for punctuation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_sets_all_read_whatever_bytes_it_has() {
    let cluster = started(3).await;
    let four = Member::join(cluster.config(4)).await.expect("joins");
    let odd = [
        (&b"a - b"[..], &b"1,ad:127.0.0.1 co:3"[..]),
        (b".", b""),
        (b"\x00\xff/%20", b"\xff\xfe\n\n"),
        ("nøgle æ".as_bytes(), "værdi".as_bytes()),
    ];
    for (position, (key, value)) in odd.into_iter().enumerate() {
        let setter = [
            &four,
            &cluster.voters[0],
            &cluster.voters[1],
            &cluster.voters[2],
        ][position];
        setter.set(key, value.to_vec()).await.expect("set");
        for member in cluster.voters.iter().chain([&four]) {
            let read = member.get(key).await.expect("read");
            assert_eq!(read.as_deref(), Some(value), "{key:?}");
        }
    }
    assert_eq!(four.get_all().await.expect("read").len(), odd.len());
    assert!(four.delete("a - b").await.expect("deleted"));
    assert!(!four.delete("a - b").await.expect("deleted"));
    assert_eq!(cluster.voters[0].get("a - b").await.expect("read"), None);
    four.shutdown().await.expect("leaves");
    cluster.shutdown().await.expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_fit_is_refused_before_anything_is_sent() {
    let cluster = started(1).await;
    let member = &cluster.voters[0];
    for refused in [
        member.set("", "a").await.expect_err("an empty key"),
        member
            .set(vec![b'a'; 5000], "a")
            .await
            .expect_err("a long key"),
        member
            .set("a", vec![0; (1 << 20) + 1])
            .await
            .expect_err("a large value"),
    ] {
        assert!(matches!(refused, HeartbeatError::Unfit(_)), "{refused}");
        assert!(refused.to_string().contains("nothing was"), "{refused}");
    }
    for load in [-0.1, f64::NAN, f64::INFINITY] {
        let refused = member.report_load(load).expect_err("no load");
        assert!(
            refused.to_string().contains("nothing was changed"),
            "{refused}"
        );
    }
    let refused = member
        .pick_least_loaded(0.1)
        .expect_err("nobody has said how loaded it is");
    assert!(
        matches!(refused, HeartbeatError::NobodyAvailable { .. }),
        "{refused}"
    );
    cluster.shutdown().await.expect("stops in order");
}

/// A call that is given up is done before the next one or never: no late write comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_is_given_up_never_comes_after_the_next() {
    let cluster = started(3).await;
    let four = Member::join(cluster.config(4)).await.expect("joins");
    let mut rng = fastrand::Rng::with_seed(4);
    for member in [&four, &cluster.voters[0], &cluster.voters[2]] {
        for round in 0..40 {
            let patience = Duration::from_micros(rng.u64(..6_000));
            // Done or not: nobody knows.
            let _ = timeout(patience, member.set("colour", format!("given up {round}"))).await;
            let last = format!("{} {round}", member.id());
            member.set("colour", last.clone()).await.expect("set");
            let read = member.get("colour").await.expect("read");
            assert_eq!(read.as_deref(), Some(last.as_bytes()));
            if round % 10 == 0 {
                sleep(Duration::from_millis(50)).await;
                let read = cluster.voters[1].get("colour").await.expect("read");
                assert_eq!(
                    read.as_deref(),
                    Some(last.as_bytes()),
                    "a late write has come after it"
                );
            }
        }
    }
    four.shutdown().await.expect("leaves");
    cluster.shutdown().await.expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_subscribes_is_told_of_each_change_once_and_in_order() {
    let cluster = started(3).await;
    cluster.voters[0].set("before", "1").await.expect("set");
    let four = Member::join(cluster.config(4)).await.expect("joins");
    // Once it has a copy it tells what comes after.
    let copied = async {
        while four
            .get_stale("before")
            .ok()
            .and_then(|stale| stale.value)
            .is_none()
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, copied).await.expect("copied");
    let mut events = four.subscribe();
    for number in 0..20 {
        let setter = &cluster.voters[number % 3];
        setter.set("key", number.to_string()).await.expect("set");
    }
    cluster.voters[0].delete("key").await.expect("deleted");
    let mut told = Vec::new();
    let listening = async {
        loop {
            match events.next().await.expect("it runs") {
                Event::Set { value, .. } => told.push(String::from_utf8_lossy(&value).into_owned()),
                Event::Deleted { .. } => break,
                Event::Missed(missed) => panic!("{missed} events are lost"),
                _ => {}
            }
        }
    };
    timeout(PATIENCE, listening).await.expect("told in time");
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(told, expected);
    let stale = four.get_all_stale().expect("a copy");
    assert_eq!(stale.value.len(), 1);
    assert!(stale.age < PATIENCE);
    four.shutdown().await.expect("leaves");
    cluster.shutdown().await.expect("stops in order");
}
