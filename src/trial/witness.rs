//! What the kernel says of a trial's process, for the fairness manifest: facts, not intentions.
//!
//! Everything here happens after the load, when nothing is measured any more, and while the
//! executor's threads and the slots' connections are still there.

use std::{
    collections::BTreeSet,
    fs,
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, SocketType, getpeername, sockopt},
    process::{PidfdFlags, PidfdGetfdFlags, Resource, getpid, getrlimit, pidfd_getfd, pidfd_open},
    thread::current_timer_slack,
};

use super::place;
use crate::{
    runtime::{self, Runtime, Style},
    units,
};

/// How long a task may take to say where it runs. Only an executor that has lost it takes that
/// long.
const PATIENCE: Duration = Duration::from_millis(500);

/// Label and value of all that was seen.
pub(super) fn facts<R: Runtime>(runtime: &R) -> Vec<(String, String)> {
    let mut facts = vec![("threads after the load".to_owned(), threads())];
    let files = getrlimit(Resource::Nofile)
        .current
        .map_or_else(|| "unlimited".into(), |files| files.to_string());
    facts.push(("limit of open files".to_owned(), files));
    if let Some(seen) = worker(runtime) {
        facts.push(("tasks run on a thread called".to_owned(), seen.name));
        facts.push(("stack of that thread".to_owned(), seen.stack));
        facts.push(("CPUs of that thread".to_owned(), seen.cpus));
        facts.push(("timer slack of that thread".to_owned(), seen.timer_slack));
    }
    facts.extend(sockets(connections().as_deref()));
    facts
}

/// Threads by name; those that the harness has for itself are left out.
fn threads() -> String {
    let counts = runtime::threads_by_name();
    let theirs = counts.iter().filter(|(name, _)| !name.starts_with(place::OWN_THREAD));
    theirs.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

/// The thread that runs a task, as it sees itself.
struct Seen {
    name: String,
    stack: String,
    cpus: String,
    timer_slack: String,
}

/// Starts a task that looks around.
fn worker<R: Runtime>(runtime: &R) -> Option<Seen> {
    let (tell, told) = channel();
    let task = runtime.spawn(async move { look(&tell) }).ok()?;
    // Waiting for a job of the pool would run it here, and a scheduler without threads of its own
    // runs only while somebody waits.
    if R::INFO.style == Style::OneWorker {
        runtime.block_on(task);
        return told.try_recv().ok();
    }
    let seen = told.recv_timeout(PATIENCE).ok();
    drop(task);
    seen
}

#[inline(never)]
fn look(tell: &Sender<Seen>) {
    let here = 0_u8;
    let maps = fs::read_to_string("/proc/thread-self/maps").unwrap_or_default();
    let name = fs::read_to_string("/proc/thread-self/comm").unwrap_or_default().trim().to_owned();
    let timer_slack = current_timer_slack().map_or_else(|_| UNSEEN.into(), units::format_ns);
    let stack = stack((&raw const here).addr() as u64, &maps);
    // Nobody listens any more if this came too late.
    let _ =
        tell.send(Seen { name, stack, cpus: format!("{:?}", place::allowed_cpus()), timer_slack });
}

const UNSEEN: &str = "cannot be read here";

/// The size of the mapping that an address of the stack is in. The main thread's grows, up to its
/// limit.
fn stack(address: u64, maps: &str) -> String {
    let found = maps.lines().find_map(|line| {
        let (first, last) = line.split_whitespace().next()?.split_once('-')?;
        let range = u64::from_str_radix(first, 16).ok()?..u64::from_str_radix(last, 16).ok()?;
        range.contains(&address).then(|| (range.end - range.start, line.ends_with("[stack]")))
    });
    match found {
        None => UNSEEN.into(),
        Some((_, true)) => match getrlimit(Resource::Stack).current {
            Some(most) => format!("the main thread's, at most {}", units::format_size(most)),
            None => "the main thread's, unlimited".into(),
        },
        Some((size, false)) => units::format_size(size),
    }
}

/// Options of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Options {
    nodelay: bool,
    congestion: String,
    receive: usize,
    send: usize,
}

/// The options of each TCP connection that this process has; none where the kernel does not hand
/// them out.
fn connections() -> Option<Vec<Options>> {
    let own = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
    let is_socket = |path: &std::path::Path| {
        fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let mut found = Vec::new();
    for entry in
        fs::read_dir("/proc/self/fd").ok()?.flatten().filter(|entry| is_socket(&entry.path()))
    {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A copy of the descriptor, of the same socket. The original belongs to a stream that is
        // not at hand here.
        let socket = pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok()?;
        found.extend(options(&socket));
    }
    Some(found)
}

/// Nothing if it is no TCP connection.
fn options(socket: &OwnedFd) -> Option<Options> {
    let is_tcp = sockopt::socket_type(socket).is_ok_and(|kind| kind == SocketType::STREAM)
        && sockopt::socket_domain(socket)
            .is_ok_and(|family| [AddressFamily::INET, AddressFamily::INET6].contains(&family));
    if !is_tcp || getpeername(socket).is_err() {
        return None;
    }
    Some(Options {
        nodelay: sockopt::tcp_nodelay(socket).ok()?,
        congestion: sockopt::tcp_congestion(socket).ok()?,
        receive: sockopt::socket_recv_buffer_size(socket).ok()?,
        send: sockopt::socket_send_buffer_size(socket).ok()?,
    })
}

fn sockets(connections: Option<&[Options]>) -> Vec<(String, String)> {
    let Some(all) = connections else { return vec![("open connections".into(), UNSEEN.into())] };
    let mut facts = vec![("open connections".to_owned(), all.len().to_string())];
    if all.is_empty() {
        return facts;
    }
    let each = |value: &dyn Fn(&Options) -> String| {
        all.iter().map(value).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" and ")
    };
    let range = |value: &dyn Fn(&Options) -> usize| {
        let (least, most) = (all.iter().map(value).min(), all.iter().map(value).max());
        let shown = |bytes: Option<usize>| units::format_size(bytes.unwrap_or(0) as u64);
        if least == most { shown(least) } else { format!("{} to {}", shown(least), shown(most)) }
    };
    facts.push(("TCP_NODELAY".into(), each(&|o| if o.nodelay { "on" } else { "off" }.into())));
    facts.push(("TCP congestion control".into(), each(&|o| o.congestion.clone())));
    facts.push(("SO_RCVBUF".into(), range(&|o| o.receive)));
    facts.push(("SO_SNDBUF".into(), range(&|o| o.send)));
    facts
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_stack_is_the_mapping_that_its_variables_are_in() {
        let maps = "7f00-8000 ---p 0 00:00 0\n10000-30000 rw-p 0 00:00 0\n7ff0000-7ff9000 rw-p 0 00:00 0 [stack]\n";
        assert_eq!(stack(0x10000, maps), "128KiB");
        assert_eq!(stack(0x30000, maps), UNSEEN);
        assert!(stack(0x7ff_0001, maps).starts_with("the main thread's"));
    }

    #[test]
    fn a_thread_s_own_stack_is_found() {
        let (tell, told) = channel();
        let builder = std::thread::Builder::new().name("looking".into()).stack_size(384 * 1024);
        builder.spawn(move || look(&tell)).unwrap().join().unwrap();
        let seen = told.recv().unwrap();
        assert_eq!((seen.name.as_str(), seen.stack.as_str()), ("looking", "384KiB"));
        assert!(seen.cpus.starts_with('[') && seen.timer_slack != UNSEEN);
    }

    #[test]
    fn options_are_those_of_the_real_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let seen = |stream: &TcpStream| options(&stream.try_clone().unwrap().into()).unwrap();
        assert!(!seen(&stream).nodelay);
        stream.set_nodelay(true).unwrap();
        let own = seen(&stream);
        assert!(own.nodelay && !own.congestion.is_empty() && own.receive > 0);
        // A socket that only listens is no connection.
        assert_eq!(options(&listener.try_clone().unwrap().into()), None);
        // Where the kernel hands out copies, the stream is among the process's connections.
        if let Some(all) = connections() {
            assert!(all.contains(&own), "{all:?}");
        }
    }

    #[test]
    fn different_options_are_both_named() {
        let one = Options { nodelay: true, congestion: "cubic".into(), receive: 1024, send: 2048 };
        let other = Options { nodelay: false, receive: 4096, ..one.clone() };
        let facts = sockets(Some(&[one, other]));
        let values: Vec<&str> = facts.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["2", "off and on", "cubic", "1KiB to 4KiB", "2KiB"]);
        assert_eq!(sockets(Some(&[])).len(), 1);
        assert_eq!(sockets(None)[0].1, UNSEEN);
    }
}
