//! Patterns of coordination: what tasks wait on together.

use proptest::{
    prop_oneof,
    strategy::{Just, Strategy},
};

use super::{holds, sizes};

/// Inside, a task waits for a moment or gives way.
const INSIDE: &str = "[tasks.inside]\nsteps = [{ choice = { of = [{ task = \"wait\" }, { task = \"turn\" }] } }]\n\
     [tasks.wait]\nsteps = [{ sleep = { time = \"uniform(0us,300us)\" } }]\n\
     [tasks.turn]\nsteps = [{ yield = {} }]\n";

#[test]
fn mutex() {
    let cases = (sizes(), 1..=6_u64, 1..=12_u64).prop_map(|(size, count, times)| {
        let text = format!(
            "[shared.door]\nmutex = {{}}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"user\", count = {count} }} }}]\n\
             [tasks.user]\nsteps = [{{ repeat = {{ task = \"use\", times = {times} }} }}]\n\
             [tasks.use]\nsteps = [{{ lock = {{ mutex = \"door\", task = \"inside\" }}, name = \"lock\" }}]\n{INSIDE}"
        );
        size.case(count, &text).counts("lock", size.all(count * times))
    });
    holds("mutex", cases);
}

#[test]
fn semaphore() {
    let cases = (sizes(), 1..=8_u64, 1..=5_u64, 1..=8_u64).prop_map(|(size, count, permits, times)| {
        let text = format!(
            "[shared.gate]\nsemaphore = {{ permits = {permits} }}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"user\", count = {count} }} }}]\n\
             [tasks.user]\nsteps = [{{ repeat = {{ task = \"use\", times = {times} }} }}]\n\
             [tasks.use]\nsteps = [{{ acquire = {{ semaphore = \"gate\", task = \"inside\" }}, name = \"acquire\" }}]\n{INSIDE}"
        );
        size.case(count, &text).counts("acquire", size.all(count * times))
    });
    holds("semaphore", cases);
}

#[test]
fn rwlock() {
    let cases = (sizes(), 1..=8_u64, 1..=9_u64, 1..=8_u64).prop_map(|(size, count, readers, times)| {
        let text = format!(
            "[shared.doors]\nrwlock = {{}}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"user\", count = {count} }} }}]\n\
             [tasks.user]\nsteps = [{{ repeat = {{ task = \"use\", times = {times} }} }}]\n\
             [tasks.use]\nsteps = [{{ choice = {{ of = [{{ task = \"look\", weight = {readers} }}, {{ task = \"change\" }}] }} }}]\n\
             [tasks.look]\nsteps = [{{ read = {{ rwlock = \"doors\", task = \"inside\" }}, name = \"read\" }}]\n\
             [tasks.change]\nsteps = [{{ write = {{ rwlock = \"doors\", task = \"inside\" }}, name = \"write\" }}]\n{INSIDE}"
        );
        size.case(count, &text).same("read").same("write")
    });
    holds("rwlock", cases);
}

/// One task at a time, whose children are the parties: each meeting is theirs alone.
#[test]
fn barrier() {
    let cases = (sizes(), 1..=8_u64, 1..=10_u64).prop_map(|(size, parties, times)| {
        let size = super::Size { tasks: 1, ..size };
        let text = format!(
            "[shared.line]\nbarrier = {{ parties = {parties} }}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"party\", count = {parties} }} }}]\n\
             [tasks.party]\nsteps = [{{ repeat = {{ task = \"round\", times = {times} }} }}]\n\
             [tasks.round]\nsteps = [{{ arrive = {{ barrier = \"line\" }}, name = \"meet\" }}]\n"
        );
        size.case(parties, &text).counts("meet", size.all(parties * times))
    });
    holds("barrier", cases);
}

#[test]
fn event() {
    let cases = (sizes(), 1..=8_u64, 0..=1_u64).prop_map(|(size, waiting, wait)| {
        let size = super::Size { tasks: 1, ..size };
        let text = format!(
            "[shared.go]\nevent = {{}}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ groups = [{{ task = \"lead\" }}, {{ task = \"follow\", count = {waiting} }}] }} }}, {{ clear = {{ event = \"go\" }} }}]\n\
             [tasks.lead]\nsteps = [{{ sleep = {{ time = \"{wait}ms\" }} }}, {{ set = {{ event = \"go\" }} }}]\n\
             [tasks.follow]\nsteps = [{{ wait = {{ event = \"go\" }}, name = \"wait\" }}]\n"
        );
        size.case(waiting + 1, &text).counts("wait", size.all(waiting))
    });
    holds("event", cases);
}

#[test]
fn condition() {
    let notify = prop_oneof![Just("one"), Just("all")];
    let cases = (sizes(), notify, 1..=6_u64, 1..=6_u64).prop_map(|(size, notify, takers, each)| {
        let size = super::Size { tasks: 1, ..size };
        let text = format!(
            "[shared.tickets]\ncondition = {{}}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ groups = [{{ task = \"giver\" }}, {{ task = \"taker\", count = {takers} }}] }} }}]\n\
             [tasks.giver]\nsteps = [{{ repeat = {{ task = \"give\", times = {takers} }} }}]\n\
             [tasks.give]\nsteps = [{{ supply = {{ condition = \"tickets\", count = {each}, notify = \"{notify}\" }} }}, {{ yield = {{}} }}]\n\
             [tasks.taker]\nsteps = [{{ repeat = {{ task = \"take\", times = {each} }} }}]\n\
             [tasks.take]\nsteps = [{{ await = {{ condition = \"tickets\" }}, name = \"got\" }}]\n"
        );
        size.case(takers + 1, &text).counts("got", size.all(takers * each))
    });
    holds("condition", cases);
}

/// P producers and C consumers, odd and even; each consumer takes as many as all producers put for it.
#[test]
fn queue() {
    let room = prop_oneof![Just("1"), Just("3"), Just("16"), Just("\"unbounded\"")];
    let order = prop_oneof![Just("fifo"), Just("priority")];
    let cases = (sizes(), room, order, 1..=4_u64, 1..=5_u64, 1..=9_u64).prop_map(
        |(size, room, order, producers, consumers, each)| {
            let size = super::Size { tasks: 1, ..size };
            let (puts, takes) = (consumers * each, producers * each);
            let text = format!(
                "[shared.items]\nqueue = {{ capacity = {room}, order = \"{order}\" }}\n\
                 [tasks.main]\nsteps = [{{ parallel = {{ groups = [{{ task = \"producer\", count = {producers} }}, {{ task = \"consumer\", count = {consumers} }}] }} }}]\n\
                 [tasks.producer]\nsteps = [{{ repeat = {{ task = \"give\", times = {puts} }} }}]\n\
                 [tasks.consumer]\nsteps = [{{ repeat = {{ task = \"get\", times = {takes} }} }}]\n\
                 [tasks.give]\nsteps = [{{ put = {{ queue = \"items\" }}, name = \"put\" }}]\n\
                 [tasks.get]\nsteps = [{{ take = {{ queue = \"items\" }}, name = \"take\" }}]\n"
            );
            let all = size.all(producers * puts);
            size.case(producers + consumers, &text).counts("put", all).counts("take", all)
        },
    );
    holds("queue", cases);
}

#[test]
fn pipeline() {
    let cases = (sizes(), 1..=4_u64, 1..=4_u64, 1..=12_u64).prop_map(|(size, room, workers, each)| {
        let size = super::Size { tasks: 1, ..size };
        let all = workers * each;
        let text = format!(
            "[shared.in]\nqueue = {{ capacity = {room} }}\n[shared.out]\nqueue = {{ capacity = {room} }}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ groups = [{{ task = \"reader\" }}, {{ task = \"worker\", count = {workers} }}, {{ task = \"writer\" }}] }} }}]\n\
             [tasks.reader]\nsteps = [{{ repeat = {{ task = \"give\", times = {all} }} }}]\n\
             [tasks.give]\nsteps = [{{ put = {{ queue = \"in\" }} }}]\n\
             [tasks.worker]\nsteps = [{{ repeat = {{ task = \"work\", times = {each} }} }}]\n\
             [tasks.work]\nsteps = [{{ take = {{ queue = \"in\" }} }}, {{ cpu = {{ kernel = \"sum-squares\", iterations = 100 }} }}, {{ put = {{ queue = \"out\" }} }}]\n\
             [tasks.writer]\nsteps = [{{ repeat = {{ task = \"store\", times = {all} }} }}]\n\
             [tasks.store]\nsteps = [{{ take = {{ queue = \"out\" }}, name = \"store\" }}]\n"
        );
        size.case(workers + 2, &text).counts("store", size.all(all))
    });
    holds("pipeline", cases);
}

#[test]
fn rate_limit() {
    let cases = (sizes(), 1..=5_u64, 1..=4_u64).prop_map(|(size, burst, count)| {
        let text = format!(
            "[shared.quota]\nrate-limit = {{ rate = \"1k/s\", burst = {burst} }}\n\
             [tasks.main]\nsteps = [{{ parallel = {{ task = \"call\", count = {count} }} }}]\n\
             [tasks.call]\nsteps = [{{ throttle = {{ limit = \"quota\" }}, name = \"pass\" }}]\n"
        );
        size.case(count, &text).counts("pass", size.all(count))
    });
    holds("rate_limit", cases);
}
