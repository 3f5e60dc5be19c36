//! Operations: requests, messages, files, queries and computations of random sizes.

use proptest::{
    prop_oneof,
    strategy::{Just, Strategy},
};

use super::{holds, sizes};

/// A `[targets.api]`, the task `call` of `main`, whose children run it.
fn calls(target: &str, call: &str, count: u64) -> String {
    format!(
        "[targets.api]\nhttp = {{ {target} }}\n\
         [tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count} }} }}]\n\
         [tasks.child]\nsteps = [{{ repeat = {{ task = \"call\", times = 3 }} }}]\n\
         [tasks.call]\nsteps = [{{ http = {{ target = \"api\", {call} }}, name = \"call\", allow = {{ status = 503 }} }}]\n"
    )
}

fn connections() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("keep"), Just("per-call")]
}

#[test]
fn http() {
    let cases = (sizes(), connections(), 0..=70_000_u64, 0..=70_000_u64, 1..=4_u64).prop_map(
        |(size, connection, body, sent, count)| {
            let target = format!(
                "body = \"{body}B\", delay = \"uniform(0ms,1ms)\", status = [{{ status = 200, weight = 4 }}, {{ status = 503 }}]"
            );
            let call = format!(
                "method = \"POST\", path = \"/x/${{i}}/${{j}}\", body_size = \"{sent}B\", connection = \"{connection}\""
            );
            let case = size.case(count, &calls(&target, &call, count));
            case.counts("call", size.all(count * 3)).same("call")
        },
    );
    holds("http", cases);
}

#[test]
fn pages() {
    let cases = (sizes(), connections(), 1..=60_u64, 1..=25_u64).prop_map(|(size, connection, items, page)| {
        let text = format!(
            "[targets.api]\nhttp = {{ list = {{ items = {items}, page = {page} }} }}\n\
             [tasks.main]\nsteps = [{{ http = {{ target = \"api\", path = \"/list\", connection = \"{connection}\", follow = {{ by = \"link\", items = \"/items\" }} }}, \
             name = \"list\", expect = {{ items = {items} }} }}]\n"
        );
        size.case(1, &text).counts("list", size.all(1))
    });
    holds("pages", cases);
}

#[test]
fn download() {
    let cases = (sizes(), 1..=2_000_000_u64, 1024..=300_000_u64).prop_map(|(size, body, chunk)| {
        let text = calls(
            &format!("body = \"{body}B\""),
            &format!("path = \"/file\", chunk = \"{chunk}B\""),
            1,
        );
        size.case(1, &text).counts("call", size.all(3))
    });
    holds("download", cases);
}

#[test]
fn http2() {
    let whose = prop_oneof![Just("\"per-slot\""), Just("1"), Just("2")];
    let cases = (sizes(), whose, 1..=40_u64, 0..=70_000_u64, 1..=6_u64).prop_map(
        |(size, whose, streams, body, count)| {
            let target = format!(
                "body = \"{body}B\", delay = \"uniform(0ms,1ms)\", http2 = {{ connections = {whose}, streams = {streams} }}"
            );
            let text = calls(&target, "path = \"/x/${i}/${j}\"", count);
            size.case(count, &text).counts("call", size.all(count * 3))
        },
    );
    holds("http2", cases);
}

#[test]
fn tls() {
    let cases = (sizes(), connections(), 0..=70_000_u64, 1..=3_u64).prop_map(
        |(size, connection, body, count)| {
            let call = format!("path = \"/x/${{i}}\", connection = \"{connection}\"");
            let text = calls(&format!("body = \"{body}B\", tls = {{}}"), &call, count);
            size.case(count, &text).counts("call", size.all(count * 3))
        },
    );
    holds("tls", cases);
}

#[test]
fn values() {
    let of = prop_oneof![
        Just("header = \"content-length\"".to_owned()),
        (0..4_u64).prop_map(|at| format!("json = \"/items/{at}/name\"")),
        Just("regex = '\"id\": ?([0-9]+)'".to_owned()),
    ];
    let cases = (sizes(), of, 1..=4_u64).prop_map(|(size, of, uses)| {
        let uses: Vec<String> = (0..uses)
            .map(|at| format!(", {{ http = {{ target = \"api\", path = \"/user/${{value:id}}/{at}\", headers = {{ x-id = \"${{value:id}}\" }} }} }}"))
            .collect();
        let uses = uses.concat();
        let text = format!(
            "[targets.api]\nhttp = {{ body = \"100B\", list = {{ path = \"/login\", items = 20, page = 10 }} }}\n\
             [tasks.main]\nsteps = [{{ http = {{ target = \"api\", path = \"/login\", take = {{ id = {{ {of} }} }} }}, name = \"login\" }}{uses}]\n"
        );
        size.case(1, &text).counts("login", size.all(1))
    });
    holds("values", cases);
}

#[test]
fn echo() {
    let cases = (sizes(), 1..=20_u64, 32..=3_000_u64, 1..=8_u64, 1..=3_u64).prop_map(
        |(size, messages, bytes, in_flight, count)| {
            let text = format!(
                "[targets.ws]\nwebsocket = {{}}\n\
                 [tasks.main]\nsteps = [{{ parallel = {{ task = \"chat\", count = {count} }} }}]\n\
                 [tasks.chat]\nsteps = [{{ websocket = {{ target = \"ws\", echo = {{ messages = {messages}, size = \"{bytes}B\", in_flight = {in_flight} }} }}, name = \"echo\" }}]\n"
            );
            size.case(count, &text).counts("echo", size.all(count))
        },
    );
    holds("echo", cases);
}

#[test]
fn broadcast() {
    let cases = (sizes(), 1..=6_u64, 1..=5_u64, 32..=3_000_u64).prop_map(|(size, members, messages, bytes)| {
        let size = super::Size { tasks: 1, ..size };
        let text = format!(
            "[targets.hub]\nwebsocket = {{}}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"member\", count = {members} }} }}]\n\
             [tasks.member]\nsteps = [{{ websocket = {{ target = \"hub\", broadcast = {{ members = {members}, messages = {messages}, size = \"{bytes}B\" }} }}, name = \"member\" }}]\n"
        );
        size.case(members, &text).counts("member", size.all(members))
    });
    holds("broadcast", cases);
}

fn places() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("inline"), Just("offload"), Just("own-pool")]
}

#[test]
fn files() {
    let cases = (sizes(), places(), 0..=100_000_u64, 1..=4_u64).prop_map(|(size, place, bytes, count)| {
        let text = format!(
            "[targets.disk]\ndirectory = {{ files = 3, bytes = \"5KiB\", lines = 0 }}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count} }} }}]\n\
             [tasks.child]\nsteps = [\n\
             {{ file = {{ target = \"disk\", op = \"write\", bytes = \"{bytes}B\", blocking = \"{place}\" }}, name = \"write\" }},\n\
             {{ file = {{ target = \"disk\", op = \"append\", bytes = \"{bytes}B\", blocking = \"{place}\" }}, name = \"append\" }},\n\
             {{ file = {{ target = \"disk\", op = \"read\", blocking = \"{place}\" }}, name = \"read\" }},\n]\n"
        );
        let all = size.all(count);
        size.case(count, &text).counts("write", all).counts("append", all).counts("read", all)
    });
    holds("files", cases);
}

#[test]
fn scan() {
    let pattern = prop_oneof![Just("ERROR"), Just("INFO"), Just("1"), Just("no such words")];
    let cases = (sizes(), places(), pattern, 1..=3_000_u64).prop_map(|(size, place, pattern, lines)| {
        let text = format!(
            "[targets.disk]\ndirectory = {{ files = 0, lines = {lines} }}\n\
             [tasks.main]\nsteps = [{{ file = {{ target = \"disk\", op = \"scan\", pattern = \"{pattern}\", blocking = \"{place}\" }}, name = \"scan\" }}]\n"
        );
        size.case(1, &text).counts("scan", size.all(1))
    });
    holds("scan", cases);
}

#[test]
fn sqlite() {
    let cases = (sizes(), places(), 1..=500_u64, 1..=4_u64).prop_map(|(size, place, rows, count)| {
        let text = format!(
            "[targets.db]\nsql = {{ rows = {rows} }}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count} }} }}]\n\
             [tasks.child]\nsteps = [\n\
             {{ sql = {{ target = \"db\", query = \"SELECT name FROM items WHERE id = ?\", args = [\"${{uniform(1,{rows})}}\"], blocking = \"{place}\" }}, name = \"select\", expect = {{ rows = 1 }} }},\n\
             {{ sql = {{ target = \"db\", transaction = [{{ query = \"UPDATE items SET price = price + 1 WHERE id = 1\" }}, {{ query = \"INSERT INTO log (task, value) VALUES (?, ?)\", args = [\"${{i}}\", \"${{j}}\"] }}], blocking = \"{place}\" }}, name = \"change\", expect = {{ rows = [1, 1] }} }},\n]\n"
        );
        let all = size.all(count);
        size.case(count, &text).counts("select", all).counts("change", all)
    });
    holds("sqlite", cases);
}

#[test]
fn cpu() {
    let kernel = prop_oneof![Just("sum-squares"), Just("sha256"), Just("base64"), Just("json")];
    let cases = (sizes(), places(), kernel, 1..=200_u64, 1..=4_u64).prop_map(
        |(size, place, kernel, iterations, count)| {
            let text = format!(
                "[tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count} }} }}]\n\
                 [tasks.child]\nsteps = [{{ cpu = {{ kernel = \"{kernel}\", iterations = {iterations}, blocking = \"{place}\" }}, name = \"compute\" }}]\n"
            );
            size.case(count, &text).counts("compute", size.all(count))
        },
    );
    holds("cpu", cases);
}
