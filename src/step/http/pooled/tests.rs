//! The limit, the age and the places of a pool's connections, under every executor, over real sockets.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::*;
use crate::{
    client::{FaultKind, Trust},
    runtime::{Blocking, EXECUTORS, block_on},
    step::{
        OnTimeout, StepSpec,
        http::{
            client::tests::Running,
            tests::{answer, server},
        },
        testing::{Ran, Rig, read_step, start_target},
    },
    targets::http::HttpEndpoint,
};

/// Five calls of each of eight slots over a pool, and what the server has counted.
fn ran(target: &str, more: &str, executor: &str) -> (Ran, BTreeMap<String, u64>) {
    let server = Running::start(target);
    let trust = Trust::Text(server.authority().to_owned());
    let mut endpoint = server.endpoint();
    if target.contains("tls") {
        endpoint = endpoint.encrypted("127.0.0.1", &trust).unwrap();
    }
    let step = format!("{{ http = {{ target = 'api', path = '/a', {more} }} }}");
    let rig = Rig::new(&[&step]).slots(8);
    let connections = endpoint.connections.clone();
    let (ran, counts) = server.run_rig(rig, endpoint, executor, 5);
    assert_eq!(ran.wrong(), None, "{executor} {target}");
    let own = connections.counts();
    let found = [counts["connections"], counts["connections closed"], own["connections closed"]];
    assert_eq!(found, [own["connections opened"]; 3], "{executor} {target}");
    assert_eq!(counts["requests"], 40, "{executor} {target}");
    (ran, counts)
}

#[test]
fn a_pool_has_no_more_connections_than_it_may() {
    for executor in EXECUTORS.iter().map(|executor| executor.name) {
        for more in ["", ", tls = {}"] {
            let target = format!("{{ delay = '1ms', pool = {{ max = 2 }}{more} }}");
            let (_, counts) = ran(&target, "", executor);
            assert!((1..=2).contains(&counts["connections"]), "{executor}{more}: {counts:?}");
        }
        // Around the pool each slot has its own.
        let (_, counts) = ran("{ pool = { max = 2 } }", "connection = 'keep'", executor);
        let slots = if executor == "sequential" { 8 } else { counts["connections"] };
        assert!(counts["connections"] == slots && slots > 2, "{executor}: {counts:?}");
    }
}

#[test]
fn connections_that_are_closed_after_each_call_are_limited_too() {
    for executor in EXECUTORS.iter().map(|executor| executor.name) {
        let target = "{ delay = '1ms', pool = { max = 2, force_close = true } }";
        let (_, counts) = ran(target, "", executor);
        // One for each call, and one for each slot's preparation.
        assert_eq!(counts["connections"], 40 + 8, "{executor}");
    }
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    for executor in EXECUTORS.iter().map(|executor| executor.name) {
        let (_, young) = ran("{ pool = { max = 1, idle_timeout = '1h' } }", "", executor);
        assert_eq!(young["connections"], 1, "{executor}");
        let (_, old) = ran("{ pool = { max = 1, idle_timeout = '1ns' } }", "", executor);
        assert_eq!(old["connections"], 40 + 8, "{executor}");
    }
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced_in_its_place() {
    for executor in EXECUTORS.iter().map(|executor| executor.name) {
        // It answers and closes, and does not say so.
        let url = server(answer("Content-Length: 2\r\n", "ok"));
        let scratch = tempfile::tempdir().unwrap();
        let target = format!("{{ http = {{ url = '{url}', pool = {{ max = 1 }} }} }}");
        let mut target = start_target(&target, scratch.path()).unwrap();
        let rig = Rig::new(&["{ http = { target = 'api', path = '/' } }"]).slots(3);
        let ran = rig.endpoint("api", target.endpoint()).run(executor, 4);
        assert_eq!((ran.wrong(), ran.outcomes.len()), (None, 12), "{executor}");
        let report = target.report().unwrap();
        let counts = report.counts;
        // Each serves one call. Whether its end is seen when it is given back or when it is taken is
        // up to the system.
        let opened = counts["connections opened"];
        assert!(opened >= 12 && opened >= counts["connections reopened"], "{executor}: {counts:?}");
        assert_eq!(opened, counts["connections closed"], "{executor}");
        let line = report.proof.iter().find(|line| line.what.contains("at once")).unwrap();
        assert_eq!((line.found.as_str(), line.expected.as_str()), ("1", "1"), "{executor}");
    }
}

#[test]
fn a_call_that_is_given_up_closes_its_connection_and_leaves_its_place() {
    for executor in EXECUTORS.iter().map(|executor| executor.name) {
        // Nobody ever answers; the system accepts.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut endpoint =
            HttpEndpoint::new(silent.local_addr().unwrap(), "h".into(), String::new(), None);
        endpoint.pool = pool("{ max = 1 }");
        let connections = endpoint.connections.clone();
        let rig = Rig::new(&["{ http = { target = 'api', path = '/' } }"]);
        // Long enough to open a connection in, however busy the machine is.
        let rig = rig.limited(Duration::from_millis(300), OnTimeout::Ignore);
        let ran = rig.endpoint("api", Arc::new(endpoint)).run(executor, 2);
        assert_eq!((ran.wrong(), ran.timeouts()), (None, 2), "{executor}");
        let counts = connections.counts();
        // The second call found a place.
        assert_eq!(counts["connections opened"], 2, "{executor}: {counts:?}");
        assert_eq!(counts["connections opened"], counts["connections closed"], "{executor}");
    }
}

fn pool(text: &str) -> Option<HttpPool> {
    let target = crate::step::testing::read_target(&format!("{{ http = {{ pool = {text} }} }}"));
    let crate::targets::TargetSpec::Http(target) = target.unwrap() else { panic!() };
    target.pool
}

#[test]
fn who_waits_for_too_long_has_an_error_with_a_name_and_a_remedy() {
    let spec = pool("{ max = 1, acquire_timeout = '1ms' }").unwrap();
    let connections = Arc::new(connections::<Blocking>(&spec));
    let StepSpec::Http(step) = read_step("{ http = { target = 'api', path = '/' } }").unwrap()
    else {
        panic!()
    };
    let nowhere = HttpEndpoint::new(([127, 0, 0, 1], 1).into(), "h".into(), String::new(), None);
    let shared = HttpShared::new(&step, Arc::new(nowhere), 1, Arc::new(OnceLock::new())).unwrap();
    let mut pooled = HttpPooled::new(connections.clone(), spec, PoolWaits::nowhere());
    let held = block_on(connections.acquire()).unwrap();
    let lost = block_on(pooled.take(&shared)).err().unwrap();
    assert_eq!(lost.kind(b""), FaultKind::PoolTimeout);
    assert!(lost.kind(b"").is_unconnected(), "the server knows nothing of it");
    let words = lost.words(shared.endpoint.address, b"");
    assert!(words.contains("raise `max` or `acquire_timeout`"), "{words}");
    drop(held);
    // Its turn came, and nobody listens there.
    let lost = block_on(pooled.take(&shared)).err().unwrap();
    assert_eq!(lost.kind(b""), FaultKind::Refused);
}
