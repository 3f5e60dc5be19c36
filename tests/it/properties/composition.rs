//! Patterns of composition: who starts what, who waits for whom, and what ends early.

use proptest::{
    prop_oneof,
    strategy::{Just, Strategy},
};

use super::{holds, sizes};

/// A child that waits for a moment, does nothing, or is allowed to take too long.
const CHILD: &str = "[tasks.child]\n\
     steps = [{ choice = { of = [{ task = \"wait\" }, { task = \"nothing\" }, { task = \"late\" }] }, name = \"child\" }]\n\
     [tasks.wait]\nsteps = [{ sleep = { time = \"uniform(0ms,1ms)\" } }]\n\
     [tasks.nothing]\nsteps = [{ noop = {} }]\n\
     [tasks.late]\nsteps = [{ sleep = { time = \"5s\" }, timeout = \"1ms\", on_timeout = \"skip\" }]\n";

#[test]
fn gather() {
    let cases = (sizes(), 1..=12_u64).prop_map(|(size, count)| {
        let main = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count} }} }}]\n"
        );
        size.case(count, &format!("{main}{CHILD}")).counts("child", size.all(count)).same("child")
    });
    holds("gather", cases);
}

#[test]
fn groups() {
    let cases = (sizes(), 1..=4_u64, 1..=4_u64).prop_map(|(size, a, b)| {
        let text = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ groups = [{{ task = \"a\", count = {a} }}, {{ task = \"b\", count = {b} }}] }} }}]\n\
             [tasks.a]\nsteps = [{{ sleep = {{ time = \"uniform(0ms,1ms)\" }}, name = \"a\" }}]\n\
             [tasks.b]\nsteps = [{{ noop = {{}}, name = \"b\" }}]\n"
        );
        size.case(a + b, &text).counts("a", size.all(a)).counts("b", size.all(b))
    });
    holds("groups", cases);
}

#[test]
fn bounded() {
    let bound = prop_oneof![Just("batch"), Just("at_once")];
    let cases = (sizes(), bound, 1..=20_u64, 1..=6_u64).prop_map(|(size, bound, count, at_once)| {
        let main = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count}, {bound} = {at_once} }} }}]\n"
        );
        size.case(count, &format!("{main}{CHILD}")).counts("child", size.all(count)).same("child")
    });
    holds("bounded", cases);
}

#[test]
fn nested() {
    let cases = (sizes(), 1..=3_u64, 1..=3_u64, 1..=3_u64).prop_map(|(size, a, b, c)| {
        let text = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ task = \"branch\", count = {a} }} }}]\n\
             [tasks.branch]\nsteps = [{{ parallel = {{ task = \"twig\", count = {b} }} }}]\n\
             [tasks.twig]\nsteps = [{{ repeat = {{ task = \"child\", times = {c} }} }}]\n\
             [tasks.child]\nsteps = [{{ noop = {{}}, name = \"child\" }}, {{ yield = {{}} }}]\n"
        );
        size.case(a * b + a, &text).counts("child", size.all(a * b * c))
    });
    holds("nested", cases);
}

#[test]
fn fail_fast() {
    let cases = (sizes(), 1..=12_u64).prop_map(|(size, count)| {
        let main = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count}, errors = \"fail-fast\" }}, name = \"all\" }}]\n"
        );
        size.case(count, &format!("{main}{CHILD}")).counts("all", size.all(1))
    });
    holds("fail_fast", cases);
}

#[test]
fn first_of() {
    let cases = (sizes(), 1..=6_u64).prop_map(|(size, count)| {
        let main = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count}, until = \"first\" }}, name = \"first\" }}]\n"
        );
        size.case(count, &format!("{main}{CHILD}")).counts("first", size.all(1))
    });
    holds("first_of", cases);
}

#[test]
fn deadline() {
    let cases = (sizes(), 1..=8_u64, 1..=5_u64).prop_map(|(size, count, within)| {
        let text = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count}, until = \"deadline\", within = \"{within}ms\" }}, name = \"all\" }}]\n\
             [tasks.child]\nsteps = [{{ sleep = {{ time = \"uniform(0ms,6ms)\" }} }}]\n"
        );
        size.case(count, &text).counts("all", size.all(1))
    });
    holds("deadline", cases);
}

#[test]
fn as_completed() {
    let consume = prop_oneof![Just("order"), Just("completion")];
    let cases = (sizes(), consume, 1..=8_u64).prop_map(|(size, consume, count)| {
        let main = format!(
            "[tasks.main]\nsteps = [{{ parallel = {{ task = \"child\", count = {count}, then = \"store\", consume = \"{consume}\" }} }}]\n\
             [tasks.store]\nsteps = [{{ noop = {{}}, name = \"store\" }}]\n"
        );
        let case = size.case(count, &format!("{main}{CHILD}")).same("child");
        case.counts("child", size.all(count)).counts("store", size.all(count))
    });
    holds("as_completed", cases);
}

#[test]
fn retried() {
    let cases = (sizes(), 2..=4_u64, 1..=9_u64, 1..=2_u64).prop_map(|(size, attempts, weight, wait)| {
        let text = format!(
            "[targets.api]\nhttp = {{ status = [{{ status = 200, weight = {weight} }}, {{ status = 503, weight = 3 }}] }}\n\
             [tasks.main]\nsteps = [{{ retry = {{ task = \"attempt\", attempts = {attempts}, wait = \"uniform(0ms,{wait}ms)\", growth = 2.0 }}, name = \"call\" }}]\n\
             [tasks.attempt]\nsteps = [{{ http = {{ target = \"api\", path = \"/${{i}}\" }}, name = \"attempt\", expect = {{ status = 200 }}, allow = {{ status = 503 }} }}]\n"
        );
        size.case(1, &text).counts("call", size.all(1)).same("call").same("attempt")
    });
    holds("retried", cases);
}

#[test]
fn background() {
    let cases = (sizes(), 1..=4_u64, 1..=3_u64).prop_map(|(size, handles, times)| {
        let steps = |what: &str| -> Vec<String> {
            (0..handles).map(|at| what.replace("HANDLE", &format!("h{at}"))).collect()
        };
        let started = steps("{ spawn = { task = \"child\", handle = \"HANDLE\" } }");
        let joined = steps("{ join = { handle = \"HANDLE\" } }");
        let all = [started, joined].concat().join(", ");
        let text = format!(
            "[tasks.main]\nsteps = [{{ repeat = {{ task = \"round\", times = {times} }} }}]\n\
             [tasks.round]\nsteps = [{all}]\n\
             [tasks.child]\nsteps = [{{ sleep = {{ time = \"uniform(0ms,1ms)\" }}, name = \"child\" }}]\n"
        );
        size.case(handles, &text).counts("child", size.all(handles * times))
    });
    holds("background", cases);
}

#[test]
fn cancelled() {
    let cases = (sizes(), 1..=20_u64, 1..=4_u64).prop_map(|(size, times, permits)| {
        let text = format!(
            "[shared.gate]\nsemaphore = {{ permits = {permits} }}\n\
             [tasks.main]\nsteps = [{{ repeat = {{ task = \"round\", times = {times} }} }}]\n\
             [tasks.round]\nsteps = [{{ spawn = {{ task = \"work\", handle = \"work\" }} }}, {{ sleep = {{ time = \"uniform(0ms,1ms)\" }} }}, \
             {{ cancel = {{ handle = \"work\", cleanup = \"undo\" }}, name = \"cancel\" }}]\n\
             [tasks.work]\nsteps = [{{ acquire = {{ semaphore = \"gate\", task = \"hold\" }} }}]\n\
             [tasks.hold]\nsteps = [{{ sleep = {{ time = \"uniform(0ms,2ms)\" }} }}]\n\
             [tasks.undo]\nsteps = [{{ noop = {{}} }}]\n"
        );
        size.case(1, &text).counts("cancel", size.all(times))
    });
    holds("cancelled", cases);
}

#[test]
fn chosen() {
    let cases = (sizes(), 1..=9_u64, 1..=50_u64).prop_map(|(size, weight, times)| {
        let text = format!(
            "[tasks.main]\nsteps = [{{ repeat = {{ task = \"one\", times = {times} }} }}]\n\
             [tasks.one]\nsteps = [{{ choice = {{ of = [{{ task = \"a\", weight = {weight} }}, {{ task = \"b\" }}] }}, name = \"one\" }}]\n\
             [tasks.a]\nsteps = [{{ noop = {{}}, name = \"a\" }}]\n\
             [tasks.b]\nsteps = [{{ noop = {{}}, name = \"b\" }}]\n"
        );
        size.case(1, &text).counts("one", size.all(times)).same("a").same("b")
    });
    holds("chosen", cases);
}

/// What takes far too long is cut short, wherever the limit stands; what follows is as it says.
#[test]
fn timed_out() {
    let on_timeout = prop_oneof![Just("skip"), Just("ignore")];
    let cases = (sizes(), on_timeout, 1..=2_u64).prop_map(|(size, on_timeout, limit)| {
        let text = format!(
            "[tasks.main]\nsteps = [{{ repeat = {{ task = \"inner\", times = 1 }}, timeout = \"{limit}ms\", on_timeout = \"{on_timeout}\", name = \"late\" }}, \
             {{ noop = {{}}, name = \"after\" }}]\n\
             [tasks.inner]\nsteps = [{{ sleep = {{ time = \"20s\" }} }}]\n"
        );
        let after = if on_timeout == "ignore" { size.all(1) } else { 0 };
        size.case(1, &text).counts("late", size.all(1)).same("late").counts("after", after)
    });
    holds("timed_out", cases);
}
