//! Refusals: what a trial of a cell needs of this host, and why the cell cannot run where that is
//! not there.

use std::time::Duration;

use crate::{
    limits::Limits,
    load::CLIENT_BYTES,
    runtime::{Queue, Style},
    scenario::{Load, LoadKind, Reach, Variant, fan_out, reach},
    step::{PoolBeside, StepSpec, Times},
    targets::{TargetSpec, http::HttpTarget},
    units::{self, Distribution},
};

/// Open files that a process has besides its sockets.
const OTHER_FILES: u64 = 64;

/// Open files of a customary client: its socket, and three of the runtime that PostgreSQL's has
/// inside (tokio's epoll, the file that wakes it, and a second handle on the first).
const FILES_OF_A_CLIENT: f64 = 4.0;

/// What a slot takes of the harness's own, in bytes: its steps, its generator of draws and its
/// share of the counts. Of a step that sleeps 991 were measured (resident memory after preparation,
/// 10 000 slots against 100 000).
const SLOT_BYTES: u64 = 1024;

/// What a started task takes of an executor with tasks, in bytes, with the slot's future that it
/// runs. Measured of tasks that sleep, as peak above prepared memory, 100 000 of them: tokio 1547,
/// tokio-current-thread 1553, async-std 1495, smol 1440.
const TASK_BYTES: u64 = 1_500;

/// What a thread that waits takes, in bytes: the part of its stack that it touches, and the slot's
/// future. Measured in the same way of 4000 threads: 19 200.
const THREAD_BYTES: u64 = 19_200;

/// What a worker process takes for itself alone at least, in bytes: less than the 2692 KiB that one
/// of a debug build had written to when it had computed with each kernel (`Private_Dirty`).
const WORKER_BYTES: u64 = 1 << 20;

/// Stack that is set aside for a thread where the scenario says nothing, in bytes: Rust's default.
const STACK_BYTES: u64 = 2 << 20;

/// What a child of a fan-out takes at least, in bytes, for each slot: its sequence, a step in it
/// with its counts, and the place of its handle. All are built before the first task begins.
const CHILD_BYTES: u64 = 512;

/// What asks for less of a fan-out.
const LOWER_COUNT: &str = "lower `count` of `parallel`";

/// What asks for fewer threads of the pool.
const LOWER_SIZE: &str = "lower `size` under [executors.thread-pool]";

/// What a trial of a cell needs of the host.
pub(super) struct Demand<'a> {
    variant: &'a Variant,
    style: Style,
    loads: Vec<OfLoad<'a>>,
    /// Threads of a pool beside the executor.
    pool_threads: u64,
    /// Worker processes.
    workers: u64,
}

/// What one of its loads needs.
struct OfLoad<'a> {
    variant: &'a Variant,
    style: Style,
    kind: &'a LoadKind,
    /// Tasks that have begun at once.
    slots: u64,
    /// Tasks that run at once.
    at_once: u64,
    reached: Vec<Reach>,
    /// Children of fan-outs that each slot has.
    children: u64,
}

impl<'a> Demand<'a> {
    /// What a variant needs under an executor of this style, with a pool of this size.
    pub(super) fn new(variant: &'a Variant, style: Style, pool_size: u64) -> Self {
        let load = |load: &'a Load| {
            let (root, kind) = (&load.task.text, &load.kind);
            let (reached, children) = (reach(&variant.tasks, root), fan_out(&variant.tasks, root));
            let slots = style.begun(kind.concurrency(), pool_size, children > 0);
            let at_once = style.slots(kind.concurrency(), pool_size);
            OfLoad { variant, style, kind, slots, at_once, reached, children }
        };
        let loads: Vec<OfLoad<'_>> = variant.loads.iter().map(load).collect();
        let places = |pool: PoolBeside| {
            let uses = |load: &OfLoad<'_>| {
                load.reached.iter().any(|at| load.step(at).pool_beside() == Some(pool))
            };
            if loads.iter().any(uses) { pool_size } else { 0 }
        };
        let (pool_threads, workers) = (places(PoolBeside::Threads), places(PoolBeside::Processes));
        Self { variant, style, loads, pool_threads, workers }
    }

    /// Why this host cannot run the cell: too many threads or sockets, or too little memory.
    pub(super) fn refusal(&self, limits: &Limits) -> Option<String> {
        let most = || self.loads.iter();
        let lower_slots = most().max_by_key(|load| load.slots).map_or("", OfLoad::lower_slots);
        let lower_threads =
            most().max_by_key(|load| load.threads()).map_or("", OfLoad::lower_threads);
        let lower_memory = most().max_by_key(|load| load.memory()).map_or("", OfLoad::lower_memory);
        let pools = self.pool_threads.saturating_add(self.workers);
        let lower_threads = if pools > self.own_threads() { LOWER_SIZE } else { lower_threads };
        let of_loads = self.loads.iter().map(OfLoad::memory).fold(0, u64::saturating_add);
        let lower_memory =
            if self.memory_of_pools() > of_loads { LOWER_SIZE } else { lower_memory };
        let files = || limits.refuse_files(self.files(), lower_slots);
        let ports = || {
            let wanted = self.loads.iter().filter_map(|load| load.remote_connections().1).sum();
            let lower = "keep connections (`connection = \"keep\"`), or lower the number of tasks";
            if wanted > 0 { limits.refuse_ports(wanted, lower) } else { None }
        };
        let memory = || limits.refuse_memory(self.memory(), lower_memory);
        let threads = limits.refuse_threads(self.threads(), lower_threads);
        let stacks = || limits.refuse_stacks(self.stacks(), self.stacked_threads(), lower_threads);
        threads.or_else(stacks).or_else(files).or_else(ports).or_else(memory)
    }

    /// Threads and processes: the limits on both are the same, but that a process has mappings of
    /// its own.
    fn threads(&self) -> u64 {
        let beside = self.pool_threads.saturating_add(self.workers);
        self.own_threads().saturating_add(beside)
    }

    /// Threads of the executor: a pool's serve all loads.
    fn own_threads(&self) -> u64 {
        let each = self.loads.iter().map(OfLoad::threads);
        if self.style == Style::ThreadPerTask {
            each.fold(0, u64::saturating_add)
        } else {
            each.max().unwrap_or(0)
        }
    }

    /// Threads whose stacks are set aside.
    fn stacked_threads(&self) -> u64 {
        self.own_threads().saturating_add(self.pool_threads)
    }

    /// What is set aside for the stacks of threads of its own, in bytes.
    fn stacks(&self) -> u64 {
        let own = match self.style {
            Style::Serial | Style::OneWorker | Style::Workers => 0,
            Style::ThreadPerTask | Style::Pool | Style::Stealing => self
                .own_threads()
                .saturating_mul(self.variant.executors.stack_size.unwrap_or(STACK_BYTES)),
        };
        own.saturating_add(self.pool_threads.saturating_mul(STACK_BYTES))
    }

    /// Each worker process is at the other end of a socket.
    fn files(&self) -> u64 {
        let besides = OTHER_FILES.saturating_add(self.workers);
        self.loads.iter().map(OfLoad::files).fold(besides, u64::saturating_add)
    }

    /// Memory that is needed at least, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.loads.iter().map(OfLoad::memory).fold(self.memory_of_pools(), u64::saturating_add)
    }

    /// What the pools beside the executor take, in bytes.
    fn memory_of_pools(&self) -> u64 {
        let threads = self.pool_threads.saturating_mul(THREAD_BYTES);
        threads.saturating_add(self.workers.saturating_mul(WORKER_BYTES))
    }

    /// Whether a trial opens and closes connections to servers on other hosts.
    pub(super) fn opens_remote_connections(&self) -> bool {
        self.loads.iter().any(|load| load.remote_connections().0)
    }

    /// Why every trial would be killed: the delays alone take longer than the `timeout`. `least`
    /// are the least times of the loads' tasks.
    pub(super) fn too_long(&self, least: impl Iterator<Item = Duration>) -> Option<String> {
        self.loads.iter().zip(least).find_map(|(load, least)| load.too_long(least))
    }
}

impl OfLoad<'_> {
    fn step(&self, at: &Reach) -> &StepSpec {
        &self.variant.tasks[at.task].steps[at.step].spec
    }

    fn threads(&self) -> u64 {
        let at_once = |at: &Reach| -> f64 {
            let counts = self.step(at).children().into_iter().map(|child| match child.times {
                Times::AtOnce(count)
                | Times::Beside(count)
                | Times::AsCompleted(count)
                | Times::FirstOf(count)
                | Times::Within { count, .. } => count as f64,
                Times::SomeAtOnce { most, .. } => most as f64,
                Times::InBackground => 1.0,
                _ => 0.0,
            });
            at.times * counts.sum::<f64>()
        };
        match self.style {
            Style::Serial | Style::OneWorker => 1,
            Style::ThreadPerTask => {
                (self.slots as f64 * (1.0 + self.reached.iter().map(at_once).sum::<f64>())) as u64
            }
            Style::Pool | Style::Stealing => self.variant.executors.pool_size as u64,
            Style::Workers => self.variant.executors.workers.unwrap_or(1) as u64,
        }
    }

    /// Each step that acts on a server keeps a connection of its own per slot; a customary client
    /// may have more open. An open load uses as many slots as it has tasks in flight, and opens no
    /// more: that is not known beforehand.
    fn files(&self) -> u64 {
        let targets = &self.variant.targets;
        let is_server =
            |name: &str| match targets.iter().find(|target| target.name == name).map(|t| &t.spec) {
                Some(TargetSpec::Http(_) | TargetSpec::Document(_) | TargetSpec::Websocket(_)) => {
                    true
                }
                Some(TargetSpec::Sql(database)) => database.is_server(),
                _ => false,
            };
        let connects =
            |at: &&Reach| self.step(at).targets().iter().any(|target| is_server(&target.name.text));
        let files = |at: &Reach| if self.step(at).is_idiomatic() { FILES_OF_A_CLIENT } else { 1.0 };
        let shares = |at: &&Reach| {
            let mut used = self.step(at).targets().into_iter();
            used.any(|used| self.shared(&used.name.text).is_some())
        };
        let sockets: f64 = self
            .reached
            .iter()
            .filter(connects)
            .filter(|at| !shares(at))
            .map(|at| at.times.max(1.0) * files(at))
            .sum();
        let slots = if let LoadKind::Open { .. } = *self.kind { 1 } else { self.slots };
        let shared: u64 = targets.iter().filter_map(|target| self.shared(&target.name)).sum();
        ((slots as f64 * sockets) as u64).saturating_add(shared)
    }

    /// How many connections to this target all slots share; none: each has its own.
    fn shared(&self, name: &str) -> Option<u64> {
        let target = self.variant.targets.iter().find(|target| target.name == name)?;
        let TargetSpec::Http(server) = &target.spec else { return None };
        Some(server.http2.as_ref()?.shared()?.get() as u64)
    }

    /// Memory that is needed at least, in bytes.
    fn memory(&self) -> u64 {
        self.held().saturating_add(self.waiting())
    }

    /// What the slots take with all that they hold, and what the executor takes to run them, in
    /// bytes.
    fn held(&self) -> u64 {
        let own = self.children.saturating_mul(CHILD_BYTES).saturating_add(SLOT_BYTES);
        self.slots.saturating_mul(own.saturating_add(self.of_the_executor()))
    }

    /// What a slot takes of the executor when it runs, in bytes.
    fn of_the_executor(&self) -> u64 {
        match self.style {
            // The caller's own thread.
            Style::Serial => 0,
            // More may have begun than there are threads.
            Style::OneWorker | Style::Workers | Style::Stealing => TASK_BYTES,
            Style::ThreadPerTask | Style::Pool => THREAD_BYTES,
        }
    }

    /// What waits for a slot, in bytes: an entry of the pool's queue for each task of a batch and
    /// for each client, and the clients of the one slot that serves them all.
    fn waiting(&self) -> u64 {
        let each = match (self.style, self.kind) {
            (Style::Pool | Style::Stealing, LoadKind::Batch { .. } | LoadKind::Closed { .. }) => {
                Queue::ENTRY_BYTES
            }
            (Style::Serial, LoadKind::Closed { .. }) => CLIENT_BYTES,
            // An open load's tickets come one by one, and a slot's own task or client is in the
            // slot.
            _ => 0,
        };
        self.kind.concurrency().saturating_mul(each)
    }

    /// What asks for fewer tasks or clients at once.
    fn lower_load(&self) -> &'static str {
        match *self.kind {
            LoadKind::Open { .. } => "lower `max_in_flight`",
            LoadKind::Batch { .. } => "lower `tasks`",
            LoadKind::Closed { ref stages, .. } if !stages.is_empty() => {
                "lower the clients of `stages`"
            }
            LoadKind::Closed { .. } => "lower `concurrency`",
        }
    }

    /// What asks for fewer slots, or for less in each: whichever there is more of.
    fn lower_slots(&self) -> &'static str {
        match self.style {
            _ if self.children > self.slots => LOWER_COUNT,
            Style::Pool | Style::Stealing if self.slots == self.at_once => LOWER_SIZE,
            _ => self.lower_load(),
        }
    }

    fn lower_threads(&self) -> &'static str {
        match self.style {
            Style::Pool | Style::Stealing => LOWER_SIZE,
            Style::Workers => "lower `workers` under [executors]",
            Style::Serial | Style::OneWorker | Style::ThreadPerTask => self.lower_slots(),
        }
    }

    fn lower_memory(&self) -> &'static str {
        if self.waiting() > self.held() { self.lower_load() } else { self.lower_slots() }
    }

    /// Whether a trial opens and closes connections to servers on other hosts, and how many; no
    /// number where the load ends by time.
    fn remote_connections(&self) -> (bool, Option<u64>) {
        let variant = self.variant;
        let remote = |name: &str| {
            let target = variant.targets.iter().find(|target| target.name == name)?;
            match &target.spec {
                TargetSpec::Http(server) if server.is_remote() => Some(server),
                _ => None,
            }
        };
        let opens = |at: &&Reach| {
            let step = self.step(at);
            let each = |server: &HttpTarget| {
                step.connects_per_call() || server.pool.is_some_and(|pool| pool.force_close)
            };
            step.targets().iter().any(|target| remote(&target.name.text).is_some_and(each))
        };
        let per_task: f64 = self.reached.iter().filter(opens).map(|at| at.times).sum();
        let tasks = match *self.kind {
            LoadKind::Batch { tasks, repeat } => {
                Some(tasks.saturating_mul(u64::from(repeat.unwrap_or(1))))
            }
            LoadKind::Closed { tasks, .. } => tasks,
            // A port is kept for a minute. Stages have no one rate.
            LoadKind::Open { rate, ref stages, .. } if stages.is_empty() => {
                let whole = variant.run.warmup + variant.run.duration;
                Some((rate * whole.as_secs_f64().min(60.0)) as u64)
            }
            LoadKind::Open { .. } => None,
        };
        (
            per_task > 0.0,
            tasks.map(|tasks| (tasks as f64 * per_task) as u64).filter(|wanted| *wanted > 0),
        )
    }

    /// Why every trial would be killed: the delays alone take longer than the `timeout`. `least` is
    /// the least time of a task.
    fn too_long(&self, least: Duration) -> Option<String> {
        let (whole, timeout) = (self.least_time(least), self.variant.run.timeout);
        let lower = match *self.kind {
            LoadKind::Batch { .. } | LoadKind::Closed { tasks: Some(_), .. } => {
                ", or lower `tasks`"
            }
            LoadKind::Closed { .. } | LoadKind::Open { .. } => "",
        };
        (whole >= timeout).then(|| {
            let (whole, timeout) = (units::short_duration(whole), units::format_duration(timeout));
            format!("takes at least {whole}, and is killed after {timeout}; raise `timeout` under [run]{lower}")
        })
    }

    /// What a trial takes at least, by the delays of its tasks and by think times. A load that ends
    /// by time ends with its `drain`, whatever its tasks do.
    fn least_time(&self, least: Duration) -> Duration {
        let in_turn = |tasks: u64| multiple(least, tasks.div_ceil(self.at_once.max(1)));
        let warmup = self.variant.run.warmup;
        match *self.kind {
            LoadKind::Batch { tasks, repeat } => {
                let once = in_turn(tasks);
                let warming = if warmup.is_zero() { Duration::ZERO } else { warmup.max(once) };
                warming.saturating_add(once.saturating_mul(repeat.unwrap_or(1)))
            }
            LoadKind::Closed { concurrency, think, tasks: Some(tasks), .. } => {
                // A client whose next task would begin after the warm-up does not wait for it.
                let until = match think {
                    Distribution::Const(think) => warmup.saturating_sub(think),
                    _ => Duration::ZERO,
                };
                let think = think.least();
                let warming =
                    if warmup.is_zero() { Duration::ZERO } else { until.max(in_turn(concurrency)) };
                let busiest = tasks.div_ceil(concurrency.max(1));
                let thinking = multiple(think, busiest.saturating_sub(1));
                let measured =
                    in_turn(tasks).max(multiple(least, busiest).saturating_add(thinking));
                warming.saturating_add(measured)
            }
            LoadKind::Closed { tasks: None, .. } | LoadKind::Open { .. } => Duration::ZERO,
        }
    }
}

/// So many times a duration, or as long as one can be counted.
fn multiple(time: Duration, count: u64) -> Duration {
    time.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        super::{
            Machine,
            cell::{Cell, cells},
        },
        *,
    };
    use crate::{
        limits::Limit,
        scenario::{self, Overrides},
        store::{Absent, Lane},
    };

    /// Why the cells of a batch of 1 000 naps of 1 s are refused, by executor.
    fn refusals(limits: Limits) -> Vec<(String, String)> {
        let text = "schema = 1\nname = 'x'\n[tasks.nap]\nsteps = [{ sleep = { time = '1s' } }]\n[load.b]\ntask = 'nap'\n\
                    batch = { tasks = 1000 }\n[executors]\nuse = ['sequential', 'thread-pool', 'tokio']\n";
        let scenario =
            scenario::from_text(Path::new("x.toml"), text, &Overrides::default()).unwrap();
        let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
        let refused = cells(&scenario, &machine).filter_map(|cell| match cell.stored.absent {
            Some(Absent::Refused(reason)) => Some((cell.stored.executor, reason)),
            _ => None,
        });
        refused.collect()
    }

    #[test]
    fn a_batch_that_its_watchdog_would_kill_is_refused() {
        let refused = refusals(Limits::default());
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(
            refused[0].0 == "sequential" && refused[0].1.contains("raise `timeout`"),
            "{refused:?}"
        );
    }

    /// What a trial of a task that sleeps a second is said to take at least, where that is too
    /// long.
    fn least(executor: &str, load: &str, run: &str) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[run]\n{run}\n[tasks.nap]\nsteps = [{{ sleep = {{ time = '1s' }} }}]\n[load.l]\n\
             task = 'nap'\n{load}\n[executors]\nuse = ['{executor}']\n"
        );
        let scenario =
            scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
        let limits = Limits::default();
        let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
        let absent = cells(&scenario, &machine).next().unwrap().stored.absent?;
        let Absent::Refused(reason) = absent else { panic!("{absent:?}") };
        Some(reason.strip_prefix("takes at least ").expect("it is the time").to_owned())
    }

    #[test]
    fn a_closed_load_that_its_watchdog_would_kill_is_refused() {
        let tasks = "closed = { concurrency = 4, tasks = 1000 }";
        let killed = ", and is killed after 1m; raise `timeout` under [run]";
        let said = |time: &str, more: &str| Some(format!("{time}{killed}{more}"));
        assert_eq!(least("tokio", tasks, "warmup = 0"), said("4 min 10 s", ", or lower `tasks`"));
        // The warm-up lasts as long as the first tasks.
        assert_eq!(least("sequential", tasks, ""), said("16 min 44 s", ", or lower `tasks`"));
        assert_eq!(least("sequential", tasks, "timeout = '1005s'"), None);
        assert_eq!(least("tokio", "closed = { concurrency = 1000, tasks = 1000 }", ""), None);
        let thinking = "closed = { concurrency = 4, tasks = 12, think = '40s' }";
        assert_eq!(
            least("tokio", thinking, "warmup = 0"),
            said("1 min 23 s", ", or lower `tasks`")
        );
        // A load that ends by time gives up what is in flight, and what has not begun.
        let run = "duration = '100ms'\nwarmup = 0\ntimeout = '1s'";
        assert_eq!(least("tokio", "closed = { concurrency = 9 }", run), None);
        assert_eq!(least("sequential", "closed = { concurrency = 90 }", ""), None);
        assert_eq!(least("tokio", "open = { rate = '1/s', drain = '100ms' }", run), None);
    }

    #[test]
    fn the_remedy_names_the_key_of_the_executor() {
        let limit = |left| Limit { left, name: "few", remedy: "raise it" };
        let refused = refusals(Limits { threads: vec![limit(0)], ..Limits::default() });
        assert!(
            refused[1].1.contains("lower `size` under [executors.thread-pool], or `raise it`"),
            "{refused:?}"
        );
        let refused = refusals(Limits {
            memory: vec![limit(64 * (SLOT_BYTES + THREAD_BYTES) + 1_000 * Queue::ENTRY_BYTES)],
            ..Limits::default()
        });
        let (executor, reason) = &refused[1];
        assert!(
            executor == "tokio" && reason.contains("memory") && reason.contains("lower `tasks`"),
            "{refused:?}"
        );
    }

    /// Why a cell is refused by a host with so many bytes of memory and threads.
    fn refusal(
        executor: &str,
        load: &str,
        steps: &str,
        (memory, threads): (u64, u64),
    ) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[tasks.nap]\nsteps = [{{ noop = {{}} }}]\n{steps}\n[load.l]\n{load}\n\
             [executors]\nuse = ['{executor}']\n"
        );
        let scenario =
            scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
        let limit = |left| vec![Limit { left, name: "few", remedy: "raise it" }];
        let limits = Limits { memory: limit(memory), threads: limit(threads), ..Limits::default() };
        let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
        match cells(&scenario, &machine).next().unwrap().stored.absent {
            Some(Absent::Refused(reason)) => Some(reason),
            _ => None,
        }
    }

    /// A cell needs exactly so many bytes, and with one less it is refused with this remedy.
    fn needs(executor: &str, load: &str, steps: &str, bytes: u64, remedy: &str) {
        assert_eq!(refusal(executor, load, steps, (bytes, u64::MAX)), None);
        let reason = refusal(executor, load, steps, (bytes - 1, u64::MAX)).expect("refused");
        assert!(reason.contains("of memory") && reason.ends_with(remedy), "{reason}");
    }

    #[test]
    fn what_waits_for_a_slot_takes_memory() {
        let closed = "task = 'nap'\nclosed = { concurrency = 20000000000 }";
        let batch = "task = 'nap'\nbatch = { tasks = 3000000 }";
        let (pool, task) = (64 * (SLOT_BYTES + THREAD_BYTES), SLOT_BYTES + TASK_BYTES);
        needs(
            "thread-pool",
            closed,
            "",
            pool + 20_000_000_000 * Queue::ENTRY_BYTES,
            "; lower `concurrency`",
        );
        needs("thread-pool", batch, "", pool + 3_000_000 * Queue::ENTRY_BYTES, "; lower `tasks`");
        needs(
            "sequential",
            closed,
            "",
            SLOT_BYTES + 20_000_000_000 * CLIENT_BYTES,
            "; lower `concurrency`",
        );
        needs(
            "sequential",
            batch,
            "",
            SLOT_BYTES,
            "of memory, and few leaves 0 MiB; lower `tasks`",
        );
        needs("tokio", closed, "", 20_000_000_000 * task, "; lower `concurrency`");
        let open = "task = 'nap'\nopen = { rate = '1/s', max_in_flight = 1000000000 }";
        needs("thread-pool", open, "", pool, "; lower `size` under [executors.thread-pool]");
        needs("tokio", open, "", 1_000_000_000 * task, "; lower `max_in_flight`");
    }

    /// What was measured of a release build (the whole process's peak, in bytes) beside what is
    /// forecast of its tasks: the rest is the program itself, about 10 MB.
    #[test]
    fn the_memory_of_sleeping_tasks_is_forecast_within_a_quarter() {
        const PROGRAM: f64 = 10.7e6;
        let measured = [
            ("tokio", 100_000, 264.6e6),
            ("tokio-current-thread", 100_000, 265.0e6),
            ("async-std", 100_000, 258.8e6),
            ("smol", 100_000, 250.5e6),
            ("tokio", 10_000, 36.4e6),
            ("threads", 4_000, 91.2e6),
            ("threads", 1_000, 30.4e6),
        ];
        for (executor, tasks, peak) in measured {
            let text = format!(
                "schema = 1\nname = 'x'\n[tasks.nap]\nsteps = [{{ sleep = {{ time = '300ms' }} }}]\n[load.b]\ntask = 'nap'\n\
                 batch = {{ tasks = {tasks} }}\n[executors]\nuse = ['{executor}']\n"
            );
            let scenario =
                scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let machine = Machine {
                cpus: vec![0],
                executor_cpus: None,
                target_cpus: None,
                limits: Limits::default(),
            };
            let forecast = cells(&scenario, &machine).next().unwrap().memory as f64;
            let off = forecast / (peak - PROGRAM) - 1.0;
            assert!(off.abs() < 0.25, "{executor}, {tasks}: {forecast} forecast, {off}");
        }
    }

    #[test]
    fn a_fan_out_takes_memory_in_every_slot() {
        let steps =
            "[tasks.root]\nsteps = [{ parallel = { task = 'nap', count = 1000000000000 } }]";
        let children = 1_000_000_000_000 * CHILD_BYTES + SLOT_BYTES;
        for (executor, runs) in [("sequential", 0), ("tokio", TASK_BYTES), ("smol", TASK_BYTES)] {
            let load = "task = 'root'\nbatch = { tasks = 1 }";
            needs(executor, load, steps, children + runs, "; lower `count` of `parallel`");
        }
        let load = "task = 'root'\nbatch = { tasks = 3 }";
        let pooled = children + THREAD_BYTES + Queue::ENTRY_BYTES;
        needs("thread-pool", load, steps, 3 * pooled, "; lower `count` of `parallel`");
        let few = steps.replace("1000000000000", "2");
        needs(
            "tokio",
            load,
            &few,
            3 * (2 * CHILD_BYTES + SLOT_BYTES + TASK_BYTES),
            "; lower `tasks`",
        );
        // Of threads, too.
        let reason = refusal("threads", load, steps, (u64::MAX, 1_000)).expect("refused");
        assert!(reason.contains("lower `count` of `parallel`, or `raise it`"), "{reason}");
        let reason = refusal("threads", load, &few, (u64::MAX, 8)).expect("refused");
        assert!(
            reason.contains("needs 9 threads") && reason.contains("lower `tasks`, or `raise it`"),
            "{reason}"
        );
    }

    /// The pool of an executor that computes there has its threads beside those of the executor, and
    /// so have worker processes, each at the end of a socket.
    #[test]
    fn pools_beside_the_executor_are_counted() {
        let refused = |executor: &str, blocking: &str, threads: u64, files: u64, memory: u64| {
            let text = format!(
                "schema = 1\nname = 'x'\n[tasks.t]\nsteps = [{{ cpu = {{ kernel = 'json', iterations = 1, \
                 blocking = '{blocking}' }} }}]\n[load.l]\ntask = 't'\nbatch = {{ tasks = 3 }}\n[executors]\n\
                 use = ['{executor}']\n[executors.thread-pool]\nsize = 20\n"
            );
            let scenario =
                scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let limit = |left| vec![Limit { left, name: "few", remedy: "raise it" }];
            let (threads, files, memory) = (limit(threads), limit(files), limit(memory));
            let limits = Limits { threads, files, memory, ..Limits::default() };
            let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
            match cells(&scenario, &machine).next().unwrap().stored.absent {
                Some(Absent::Refused(reason)) => reason,
                other => format!("{other:?}"),
            }
        };
        let (most, fine) = (u64::MAX, "None");
        for (executor, own, pooled) in [("sequential", 1, 21), ("threads", 3, 23), ("tokio", 1, 21)]
        {
            for (blocking, threads) in
                [("offload", own), ("own-pool", pooled), ("process-pool", pooled)]
            {
                assert_eq!(refused(executor, blocking, threads, most, most), fine, "{blocking}");
                let why = refused(executor, blocking, threads - 1, most, most);
                assert!(why.contains(&format!("needs {threads} threads")), "{executor}: {why}");
                let by_size = why.contains("lower `size` under [executors.thread-pool]");
                assert_eq!(by_size, blocking != "offload", "{executor} {blocking}: {why}");
            }
        }
        let files = OTHER_FILES + 20;
        assert_eq!(refused("tokio", "own-pool", most, OTHER_FILES, most), fine);
        assert_eq!(refused("tokio", "process-pool", most, files, most), fine);
        assert!(refused("tokio", "process-pool", most, files - 1, most).contains("open files"));
        let memory = 3 * (SLOT_BYTES + TASK_BYTES);
        for (blocking, each) in [("own-pool", THREAD_BYTES), ("process-pool", WORKER_BYTES)] {
            let needed = memory + 20 * each;
            assert_eq!(refused("tokio", blocking, most, most, needed), fine, "{blocking}");
            let why = refused("tokio", blocking, most, most, needed - 1);
            assert!(why.ends_with("lower `size` under [executors.thread-pool]"), "{why}");
        }
    }

    #[test]
    fn one_customary_client_makes_the_cell_idiomatic() {
        let planned = |second: &str, limit: u64| {
            let text = format!(
                "schema = 1\nname = 'x'\n[targets.db]\nsql = {{ url = '${{env:DATABASE_URL}}' }}\n[tasks.t]\nsteps = [\
                 {{ sql = {{ target = 'db', query = 'SELECT 1' }} }}, {{ repeat = {{ task = 'u', times = 1 }} }}]\n[tasks.u]\n\
                 steps = [{{ sql = {{ target = 'db', query = 'SELECT 1', driver = '{second}' }} }}]\n[load.b]\ntask = 't'\n\
                 closed = {{ concurrency = 10 }}\n[executors]\nuse = ['tokio']\n"
            );
            let scenario =
                scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let files = vec![Limit { left: limit, name: "few", remedy: "raise it" }];
            let machine = Machine {
                cpus: vec![0],
                executor_cpus: None,
                target_cpus: None,
                limits: Limits { files, ..Limits::default() },
            };
            let cell = cells(&scenario, &machine).next().unwrap();
            (cell.stored.lane, cell.stored.absent.is_some())
        };
        assert_eq!(planned("same", OTHER_FILES + 20), (Lane::SameCode, false));
        assert_eq!(planned("same", OTHER_FILES + 19), (Lane::SameCode, true));
        // Such a client may have a runtime inside.
        assert_eq!(planned("customary", OTHER_FILES + 50), (Lane::Idiomatic, false));
        assert_eq!(planned("customary", OTHER_FILES + 49), (Lane::Idiomatic, true));
    }

    #[test]
    fn an_open_load_is_not_refused_for_connections_that_it_may_never_need() {
        let refused = |load: &str| {
            let text = format!(
                "schema = 1\nname = 'x'\n[targets.api]\nhttp = {{}}\n[tasks.get]\nsteps = [{{ http = {{ target = 'api', \
                 path = '/' }} }}]\n[load.b]\ntask = 'get'\n{load}\n[executors]\nuse = ['tokio']\n"
            );
            let scenario =
                scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let files = vec![Limit { left: 500, name: "few", remedy: "raise it" }];
            let limits = Limits { files, ..Limits::default() };
            let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
            cells(&scenario, &machine).any(|cell| cell.stored.absent.is_some())
        };
        assert!(refused("closed = { concurrency = 1024, tasks = 2000 }"));
        assert!(!refused("open = { rate = '20/s', max_in_flight = 1024 }"));
    }

    #[test]
    fn a_connection_per_call_to_another_host_needs_a_port() {
        let refused = |url: &str, connection: &str, left: u64| {
            let text = format!(
                "schema = 1\nname = 'x'\n[targets.api]\nhttp = {{ url = '{url}' }}\n[tasks.get]\nsteps = [{{ http = \
                 {{ target = 'api', path = '/', connection = '{connection}' }} }}]\n[load.b]\ntask = 'get'\n\
                 batch = {{ tasks = 10, repeat = 3 }}\n[executors]\nuse = ['tokio']\n"
            );
            let scenario =
                scenario::from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
            let ports = vec![Limit { left, name: "range", remedy: "raise it" }];
            let limits = Limits { ports, ..Limits::default() };
            let machine = Machine { cpus: vec![0], executor_cpus: None, target_cpus: None, limits };
            let all: Vec<Cell> = cells(&scenario, &machine).collect();
            (all[0].stored.absent.is_some(), all[0].remote_connections)
        };
        assert_eq!(refused("http://db.example:80", "per-call", 29), (true, true));
        assert_eq!(refused("http://db.example:80", "per-call", 30), (false, true));
        assert_eq!(refused("http://db.example:80", "keep", 29), (false, false));
        assert_eq!(refused("http://127.0.0.1:80", "per-call", 29), (false, false));
    }
}
