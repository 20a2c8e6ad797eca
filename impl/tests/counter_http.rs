//! The counter's HTTP API, at nodes in this process.

use std::time::Duration;

use lockstep::counter::config::Exchange;
use lockstep::counter::headers;
use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use crate::support::counter::CounterCluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_counts_all_come_to_know() {
    let cluster = CounterCluster::start(3).await;
    assert_eq!(cluster.value(1).await, 0);
    assert_eq!(cluster.get(1, "/inc").await.number(), 1);
    assert_eq!(cluster.get(1, "/inc?amount=5").await.number(), 6);
    let posted = cluster.send(2, Method::POST, "/inc?amount=36", &[]).await;
    assert!(posted.number() >= 36);
    assert_eq!(posted.field(headers::NODE), "2");
    assert_eq!(posted.field(headers::REPEATED), "false");
    for id in 1..=3 {
        cluster.comes_to(id, 42).await;
        assert_eq!(cluster.value(id).await, 42);
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_amount_is_refused_and_counts_nothing() {
    let cluster = CounterCluster::start(1).await;
    for (query, words) in [
        ("amount=0", "nothing is not an amount"),
        ("amount=-1", "only grows"),
        ("amount=ten", "in digits"),
        ("amount=", "in digits"),
        ("amount=1.5", "in digits"),
        ("amount=%2B1", "in digits"),
        ("amount=18446744073709551616", "the largest is"),
        ("amount=1&amount=2", "duplicate"),
        ("amont=1", "unknown field"),
    ] {
        for method in [Method::GET, Method::POST] {
            let path = format!("/inc?{query}");
            let answer = cluster.send(1, method, &path, &[]).await;
            answer.says(400, words);
            answer.says(400, "nothing was counted");
        }
    }
    assert_eq!(cluster.value(1).await, 0);
    // The sum of what one node has counted has 64 bits; that of all has more.
    let most = u64::MAX;
    let answer = cluster.get(1, &format!("/inc?amount={most}")).await;
    assert_eq!(answer.number(), u128::from(most));
    let answer = cluster.get(1, "/inc?amount=1").await;
    answer.says(400, "the sum would be more than");
    answer.says(400, "nothing was counted");
    assert_eq!(cluster.value(1).await, u128::from(most));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_more_than_64_bits_are_told() {
    let cluster = CounterCluster::start(2).await;
    cluster.joined(1..=2, 1).await;
    for id in 1..=2 {
        cluster
            .get(id, &format!("/inc?amount={}", u64::MAX))
            .await
            .number();
    }
    let sum = 2 * u128::from(u64::MAX);
    for id in 1..=2 {
        cluster.comes_to(id, sum).await;
        assert_eq!(cluster.value(id).await, sum);
        let verbose = cluster.get(id, "/verbose").await;
        assert!(verbose.text.contains(&sum.to_string()), "{verbose:?}");
        cluster
            .get(id, "/cluster")
            .await
            .says(200, "\"role\":\"replica\"");
        let metrics = cluster.metrics(id).await;
        let line = format!("lockstep_replica_value {}", u64::MAX);
        assert!(metrics.contains(&line), "{metrics}");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_numbered_request_counts_once_at_its_node_however_often_it_is_asked() {
    let mut cluster = CounterCluster::start(2).await;
    let first = cluster.count_as(1, "7", "1", 5).await;
    assert_eq!(
        (first.number(), first.field(headers::REPEATED)),
        (5, "false")
    );
    let again = cluster.count_as(1, "7", "1", 5).await;
    assert_eq!(
        (again.number(), again.field(headers::REPEATED)),
        (5, "true")
    );
    let next = cluster.count_as(1, "7", "2", 3).await;
    assert_eq!((next.number(), next.field(headers::REPEATED)), (8, "false"));
    // An earlier one is not known any more.
    let earlier = cluster.count_as(1, "7", "1", 5).await;
    earlier.says(409, "a later sequence of this client");
    // Another client's number is another request.
    assert_eq!(cluster.count_as(1, "8", "1", 2).await.number(), 10);
    // A restart forgets nothing of it.
    cluster.stop(1).await;
    cluster.restart(1).await;
    let again = cluster.count_as(1, "7", "2", 3).await;
    assert_eq!(
        (again.number(), again.field(headers::REPEATED)),
        (10, "true")
    );
    for id in 1..=2 {
        cluster.comes_to(id, 10).await;
    }
    let fields = [(headers::CLIENT, "7")];
    let half = cluster.send(1, Method::POST, "/inc", &fields).await;
    half.says(400, "go together");
    assert_eq!(cluster.value(1).await, 10);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_tells_what_was_counted_lately_and_no_more() {
    let cluster = CounterCluster::start_with(2, |config| {
        config.window.bucket_ms = 200;
        config.window.buckets = 20;
    })
    .await;
    cluster.joined(1..=2, 1).await;
    cluster.get(1, "/inc?amount=5").await.number();
    cluster.get(2, "/inc?amount=7").await.number();
    cluster.comes_to(1, 12).await;
    let page = cluster.get(1, "/window").await;
    assert_eq!(
        (page.status.as_u16(), &page.json()["value"]),
        (200, &json!(12))
    );
    let since = page.json()["since_ms"].as_u64().expect("a time");
    let until = page.json()["until_ms"].as_u64().expect("a time");
    assert!(since % 200 == 0 && until - since < 20 * 200, "{page:?}");
    // They are older than a second by then, and not yet than four.
    sleep(Duration::from_millis(1500)).await;
    cluster.get(1, "/inc?amount=30").await.number();
    let second = cluster.get(1, "/window?secs=1").await.json();
    assert_eq!(second["value"], 30, "{second}");
    let all = cluster.get(1, "/window?secs=4").await.json();
    assert_eq!(all["value"], 42, "{all}");
    // What is too old is gone from the window, and stays in the total.
    sleep(Duration::from_millis(3000)).await;
    let all = cluster.get(1, "/window").await.json();
    assert_eq!(all["value"], 30, "{all}");
    assert_eq!(cluster.value(1).await, 42);
    for (query, words) in [
        ("secs=5", "in the latest 4 seconds"),
        ("secs=0", "above 0"),
        ("secs=-3", "above 0"),
        ("secs=x", "above 0"),
        ("seconds=1", "unknown field"),
    ] {
        cluster
            .get(1, &format!("/window?{query}"))
            .await
            .says(400, words);
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_node_knows_is_shown() {
    let cluster = CounterCluster::start_with(3, |config| {
        config.nodes[0].data_centre = Some(1);
        config.nodes[1].data_centre = Some(2);
        config.nodes[2].data_centre = Some(1);
    })
    .await;
    cluster.joined(1..=3, 2).await;
    for (id, amount) in [(1, 5), (2, 7), (3, 30)] {
        cluster
            .get(id, &format!("/inc?amount={amount}"))
            .await
            .number();
    }
    for id in 1..=3 {
        cluster.comes_to(id, 42).await;
    }
    let verbose = cluster.get(3, "/verbose").await.json();
    assert_eq!(verbose["value"], 42);
    let components = verbose["components"].as_array().expect("a list");
    let counts: Vec<(u64, u64, u64)> = components
        .iter()
        .map(|one| {
            let number = |name: &str| one[name].as_u64().expect("a number");
            (number("data_centre"), number("node"), number("count"))
        })
        .collect();
    assert_eq!(counts, [(1, 1, 5), (1, 3, 30), (2, 2, 7)]);
    let own = verbose["replica"].as_str().expect("a name");
    assert!(own.starts_with("dc1/n3#"), "{own}");

    // The nearest first: itself, then its own data centre.
    let page = cluster.get(3, "/cluster").await.json();
    let members = page["members"].as_array().expect("a list");
    let order: Vec<u64> = members
        .iter()
        .filter_map(|one| one["node"].as_u64())
        .collect();
    assert_eq!(order, [3, 1, 2]);
    assert!(members.iter().all(|one| one["state"] == "alive"), "{page}");
    let nodes = page["nodes"].as_array().expect("a list");
    assert!(nodes.iter().all(|one| one["applied"] == 42), "{page}");
    assert_eq!(
        (&page["cluster"], &page["asked"]),
        (&json!("blue"), &json!(3))
    );

    let html = cluster.get(1, "/status-page/").await;
    html.says(200, "<h2 id=\"nodes-heading\">");
    cluster
        .get(1, "/status-page/page.js")
        .await
        .says(200, "A counter has no leader");
    cluster.get(1, "/healthz").await.says(200, "answers");
    cluster.get(1, "/readyz").await.says(200, "serves");
    cluster
        .get(1, "/nothing")
        .await
        .says(404, "there are GET /");
    cluster
        .send(1, Method::DELETE, "/inc", &[])
        .await
        .says(405, "no DELETE");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_alone_counts_and_hears_of_nobody() {
    let cluster =
        CounterCluster::start_with(2, |config| config.counter.exchange = Exchange::Alone).await;
    assert_eq!(cluster.get(1, "/inc?amount=2").await.number(), 2);
    assert_eq!(cluster.get(2, "/inc?amount=3").await.number(), 3);
    sleep(Duration::from_secs(2)).await;
    for (id, value) in [(1, 2), (2, 3)] {
        let report = cluster.status(id).await;
        assert_eq!((report.value, report.alive), (value, 0));
    }
    let left = cluster.send(1, Method::POST, "/leave", &[]).await;
    left.says(409, "exchanges nothing");
    assert_eq!(cluster.get(1, "/inc").await.number(), 3);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_without_an_exchange_know_each_other_and_not_what_they_count() {
    let cluster =
        CounterCluster::start_with(2, |config| config.counter.exchange = Exchange::Members).await;
    for id in 1..=2 {
        cluster.until(id, |report| report.alive == 1).await;
    }
    assert_eq!(cluster.get(1, "/inc?amount=2").await.number(), 2);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(cluster.value(2).await, 0);
    assert_eq!(cluster.status(1).await.members, []);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_pull_alone_brings_all_together_and_sends_no_deltas() {
    let mut cluster = CounterCluster::start_with(3, |config| {
        config.counter.exchange = Exchange::PushPull;
    })
    .await;
    cluster.joined(1..=3, 2).await;
    for (id, amount) in [(1, 5), (2, 7), (3, 30)] {
        cluster
            .get(id, &format!("/inc?amount={amount}"))
            .await
            .number();
    }
    for id in 1..=3 {
        cluster.comes_to(id, 42).await;
    }
    // No delta, so no acknowledgement: everybody is owed what it has heard by push-pull.
    assert_eq!(cluster.status(1).await.behind.len(), 2);
    // Who leaves sends what it owes all the same.
    cluster.get(1, "/inc?amount=100").await.number();
    let left = cluster.send(1, Method::POST, "/leave", &[]).await;
    left.says(200, "every member knows");
    for id in 2..=3 {
        assert_eq!(cluster.value(id).await, 142);
    }
    cluster.stop(1).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_counts_no_more_and_one_that_knows_of_nobody_cannot() {
    let cluster =
        CounterCluster::start_with(2, |config| config.timing.request_timeout_ms = 1000).await;
    cluster.joined(1..=2, 1).await;
    cluster.get(1, "/inc?amount=9").await.number();
    cluster
        .send(1, Method::POST, "/leave", &[])
        .await
        .says(200, "every member knows");
    cluster
        .get(1, "/inc")
        .await
        .says(503, "about to leave; nothing was counted");
    cluster.get(1, "/readyz").await.says(503, "about to leave");
    assert_eq!(cluster.value(2).await, 9);
    cluster.stop_all().await;

    let alone =
        CounterCluster::start_with(1, |config| config.timing.request_timeout_ms = 300).await;
    alone.get(1, "/inc?amount=9").await.number();
    alone
        .send(1, Method::POST, "/leave", &[])
        .await
        .says(503, "nothing is lost");
    alone.stop_all().await;
}
