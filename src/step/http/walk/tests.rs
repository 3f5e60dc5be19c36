//! Lists that are followed: of the embedded server, in a thread of the test, and of servers that do
//! not keep their word, under every kind of executor.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
};

use crate::{
    step::testing::{EXECUTORS, Ran, Rig, read_target, start_target},
    targets::{
        TargetSpec,
        http::{HttpEndpoint, HttpTarget, listen, serve},
    },
};

/// What three calls of a step against the embedded server come to, and what that has counted.
fn embedded(served: &HttpTarget, told: &HttpTarget, step: &str, executor: &str) -> (Ran, Counts) {
    embedded_steps(served, told, &[step], executor)
}

/// The same of several steps.
fn embedded_steps(
    served: &HttpTarget,
    told: &HttpTarget,
    steps: &[&str],
    executor: &str,
) -> (Ran, Counts) {
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let (control, far) = UnixStream::pair().unwrap();
    let served = served.clone();
    let server = thread::spawn(move || serve(&served, 7, listener, far, std::io::sink()));
    let endpoint =
        HttpEndpoint::new(address, address.to_string(), String::new(), Some((told.clone(), 7)));
    let ran = Rig::new(steps).endpoint("api", Arc::new(endpoint)).run(executor, 3);
    drop(control);
    (ran, server.join().unwrap().unwrap().to_map())
}

type Counts = BTreeMap<String, u64>;

fn target(text: &str) -> HttpTarget {
    let TargetSpec::Http(target) = read_target(&format!("{{ http = {text} }}")).unwrap() else {
        panic!()
    };
    target
}

fn list() -> HttpTarget {
    target("{ list = { items = 23, page = 5 } }")
}

/// A step that follows the list, by both ways, over a connection that is kept and one of each call.
fn steps() -> [(String, u64); 3] {
    let step = |more: &str, expect: &str| {
        format!("{{ http = {{ target = 'api', path = '/list', {more} }}, expect = {expect} }}")
    };
    let json = "follow = { by = 'json', next = '/next', items = '/items' }";
    let link = "follow = { by = 'link', items = '/items', max_pages = 5 }";
    [
        (step(json, "{ pages = 5, items = 23 }"), 1),
        (step(link, "{ items = 23 }"), 1),
        (step(&format!("{link}, connection = 'per-call'"), "{ status = 200 }"), 3),
    ]
}

#[test]
fn every_page_is_asked_for_once_and_the_server_says_so() {
    for executor in EXECUTORS {
        for (step, connections) in steps() {
            let (ran, counts) = embedded(&list(), &list(), &step, executor);
            assert_eq!(ran.wrong(), None, "{executor} {step}");
            let found =
                ["requests", "list pages", "list items", "connections"].map(|key| counts[key]);
            assert_eq!(found, [15, 15, 69, connections], "{executor} {step}");
            assert_eq!(ran.tallies[0].done.received, counts["bytes sent"], "{executor} {step}");
        }
    }
}

#[test]
fn values_of_the_first_page_come_back_and_the_server_says_so() {
    let take = "take = { name = { json = '/items/3/name' }, all = { header = 'content-length' } }";
    let page = format!("{{ http = {{ target = 'api', path = '/list', {take} }} }}");
    let uses = "{ http = { target = 'api', path = '/a/${value:name}/${value:all}' } }";
    for executor in EXECUTORS {
        let (ran, counts) = embedded_steps(&list(), &list(), &[&page, uses], executor);
        assert_eq!(ran.wrong(), None, "{executor}");
        let path = format!("path /a/item-4/{}", list().list.unwrap().text(1).len());
        assert_eq!((counts["path /list"], counts.get(&path)), (3, Some(&3)), "{executor}");
        // A page of another list is found out, though it has such a value.
        let other = target("{ list = { items = 23, page = 6 } }");
        let (ran, _) = embedded_steps(&other, &list(), &[&page, uses], executor);
        assert!(ran.wrong().is_some_and(|why| why.contains("not the one that")), "{executor}");
    }
}

#[test]
fn a_server_that_has_another_list_than_it_should_is_found_out() {
    for (served, said) in [
        ("{ list = { items = 23, page = 6 } }", "is not the one that the server has sent"),
        ("{ list = { items = 22, page = 5 } }", "is not the one that the server has sent"),
        ("{ list = { items = 28, page = 5 } }", "is not the one that the server has sent"),
        ("{}", "is not the one that the server has sent"),
    ] {
        for (step, _) in steps() {
            let (ran, _) = embedded(&target(served), &list(), &step, "tokio");
            let wrong = ran.wrong().unwrap();
            assert!(wrong.contains("page ") && wrong.contains(said), "{served} {step}: {wrong}");
        }
    }
}

/// What a server of one's own answers to the request for a path: head fields and body.
type Pages = fn(&str) -> (String, String);

/// Two calls of a step that follows by `by`, against a server of one's own.
fn own(pages: Pages, by: &str, expect: &str, executor: &str) -> Ran {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                while let Some(first) = lines.next() {
                    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                    let _ = lines.by_ref().find(String::is_empty);
                    let (head, body) = pages(&path);
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{head}\r\n{body}");
                    if (&stream).write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("{{ http = {{ url = \"{url}/v1\" }} }}");
    let target = start_target(&url, scratch.path()).unwrap();
    let step = format!(
        "{{ http = {{ target = 'api', path = '/a?n=1', follow = {{ {by} }} }}, expect = {{ {expect} }} }}"
    );
    Rig::new(&[&step]).endpoint("api", target.endpoint()).run(executor, 2)
}

/// Three pages that name each other in different ways.
fn three(path: &str) -> (String, String) {
    let (next, items) = match path {
        "/v1/a?n=1" => ("\"?n=2\"", "1,2"),
        "/v1/a?n=2" => ("\"/v1/b\"", "3"),
        "/v1/b" => ("null", "4,5"),
        _ => ("\"nowhere\"", ""),
    };
    let link = if next == "null" {
        String::new()
    } else {
        format!("Link: </x>; rel=\"prev\"\r\nLink: <{}>; rel=\"next\"\r\n", next.trim_matches('"'))
    };
    (link, format!("{{\"data\":[{items}],\"paging\":{{\"next\":{next}}}}}"))
}

const JSON: &str = "by = 'json', next = '/paging/next', items = '/data', max_pages = 4";

#[test]
fn relative_references_lead_through_the_list_of_a_server_of_one_s_own() {
    for executor in EXECUTORS {
        for by in [JSON, "by = 'link', items = '/data'"] {
            let ran = own(three, by, "pages = 3, items = 5", executor);
            assert_eq!(ran.wrong(), None, "{executor} {by}");
        }
    }
}

#[test]
fn a_list_that_is_not_as_expected_fails_with_its_reason() {
    let looping: Pages = |_| (String::new(), "{\"data\":[],\"paging\":{\"next\":\"?n=1\"}}".into());
    let away: Pages =
        |_| (String::new(), "{\"data\":[],\"paging\":{\"next\":\"https://else.where/\"}}".into());
    let html: Pages = |_| (String::new(), "<html>".into());
    let other: Pages = |_| (String::new(), "{\"data\":{},\"paging\":{\"next\":null}}".into());
    for (pages, expect, said) in [
        (three as Pages, "pages = 4", "expected 4 pages in all, found 3"),
        (three, "items = 6", "expected 6 items in all, found 5"),
        (looping, "", "page 4: it names a next one, and `max_pages` is 4; raise it"),
        (
            away,
            "",
            "page 1: the next page is at `https://else.where/`, and only pages of http://127",
        ),
        (html, "", "page 1: it is no JSON"),
        (other, "", "page 1: it has no array at `/data`"),
    ] {
        for executor in EXECUTORS {
            let wrong = own(pages, JSON, expect, executor).wrong().unwrap();
            assert!(wrong.contains(said) && wrong.starts_with("Wrong"), "{executor}: {wrong}");
        }
    }
}

#[test]
fn pages_are_asked_for_without_a_body_whatever_key_it_has() {
    for (key, value) in
        [("body", "'x'"), ("body_size", "9"), ("body_file", "'x'"), ("body_raw", "'x'")]
    {
        let step = format!(
            "{{ http = {{ target = 'api', path = '/', {key} = {value}, follow = {{ by = 'link' }} }} }}"
        );
        let errors = crate::step::testing::errors_of(&step);
        let wanted = format!("pages are asked for without `{key}`");
        assert!(errors.iter().any(|error| error.contains(&wanted)), "{errors:?}");
    }
}
