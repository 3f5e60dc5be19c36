//! Whether some clients got next to nothing done because others were always served first.
//!
//! Two accounts show it. Clients are counted by what each completed: a client that got less than a
//! tenth of its share starved, whatever it waited for. Where tasks wait for a connection of a pool,
//! each wait knows how many others were served before it: that also shows starvation which meets
//! each client in turn, so that all get their share in the end.

use super::cause::{Cause, percent};
use crate::{
    analysis::Validity,
    measure::{Clients, Measurements, NamedStream, POOL_FACTS, POOL_WAIT, SHARED_TURNS},
    store::Row,
    units::format_ns,
};

/// With a smaller share than this, chance alone may leave a client with a tenth of it.
const LEAST_SHARE: u64 = 20;
/// Where nothing is known of what the clients wait for, so many of them must starve: a single one
/// may have met a call that took long.
const STARVED: f64 = 0.1;
/// Waits in which others were served first are this share of all waiting at least.
const PASSED_OVER: f64 = 0.1;
/// … and so many.
const FEW: u64 = 3;

/// What speaks against a trial in which some starved.
pub(super) fn cause(row: Row<'_>, measured: &Measurements) -> Option<Cause> {
    let by_clients = measured.clients.as_ref().and_then(|clients| starved(row, clients, measured));
    by_clients.or_else(|| measured.steps.iter().find_map(|step| passed_over(step, measured)))
}

/// Clients that got next to nothing done.
fn starved(row: Row<'_>, clients: &Clients, measured: &Measurements) -> Option<Cause> {
    let known = primitive(measured);
    let share = clients.tasks / clients.clients.max(1);
    let many = clients.starved as f64 >= STARVED * clients.clients as f64;
    let is_told = known.is_some() || (many && !clients.delays_vary);
    let has_starved = clients.starved > 0 && share >= LEAST_SHARE && is_told;
    let why = known.unwrap_or_else(|| {
        let one_at_a_time = if row.load.slots < clients.clients {
            "the executor"
        } else {
            "the target or the executor"
        };
        format!("{one_at_a_time} served others first")
    });
    has_starved.then(|| Cause {
        validity: Validity::Starved,
        evidence: format!(
            "{} of {} clients completed less than a tenth of their share of {share} tasks ({} to {} tasks a client, the \
             longest wait for one {}): {why}",
            clients.starved,
            clients.clients,
            clients.least,
            clients.most,
            format_ns(clients.longest_ns)
        ),
        severity: clients.starved as f64,
    })
}

/// Waits for a connection in which others were served first, where much of the waiting is such.
fn passed_over(step: &NamedStream, measured: &Measurements) -> Option<Cause> {
    let target = step.name.strip_suffix(POOL_WAIT)?;
    let waits = &step.stream;
    let (mean_ns, _) = waits.latency.mean_bound()?;
    let share = waits.passed_over_ns as f64 / (mean_ns * waits.latency.count() as f64).max(1.0);
    let longest = waits.latency.greatest_bound()?.ns();
    (waits.passed_over >= FEW && share >= PASSED_OVER).then(|| Cause {
        validity: Validity::Starved,
        evidence: format!(
            "in {} waits for a connection to {target} more than 20 times as many others were served first as stood in \
             front ({} of the time of all waits, the longest {}): {}",
            waits.passed_over,
            percent(share.min(1.0)),
            format_ns(longest),
            primitive(measured).unwrap_or_else(|| "turns are not taken in order".into())
        ),
        severity: share,
    })
}

/// What tasks wait on, and who is next there.
fn primitive(measured: &Measurements) -> Option<String> {
    let [name, turns] = POOL_FACTS.map(|fact| measured.trial.facts.get(fact));
    let of_pool = name.zip(turns).map(|(name, turns)| format!("{name} gives a place to {turns}"));
    of_pool.or_else(|| of_shared(measured))
}

/// The same of shared objects: a fact says what each is made of, and another who is next.
fn of_shared(measured: &Measurements) -> Option<String> {
    let facts = &measured.trial.facts;
    let of_one = |(name, turns): (&String, &String)| {
        let object = name.strip_prefix(SHARED_TURNS)?;
        Some(format!("{object} ({}): {turns}", facts.get(object)?))
    };
    let all: Vec<String> = facts.iter().filter_map(of_one).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::{Histo, Stream},
        store::{Outcome, fixture::Fixture},
    };

    const NAME: &str = "the semaphore of async-lock";

    /// A trial whose clients completed so many tasks each, with a pool or without.
    fn of_clients(tasks: &[u64], has_pool: bool, delays_vary: bool) -> Option<String> {
        let run = Fixture::closed("smol", 1).cell("smol", &[], &[100.0]).build();
        let Outcome::Measured(measured) = &run.trials[0].outcome else { panic!("it was measured") };
        let mut measured = measured.loads[0].clone();
        measured.clients =
            Clients::of(tasks, 1_500_000_000).map(|clients| Clients { delays_vary, ..clients });
        if has_pool {
            let facts = POOL_FACTS.into_iter().zip([NAME, "who asks first"]);
            measured
                .trial_mut()
                .facts
                .extend(facts.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let cause = cause(run.header.cells[0].rows().next()?, &measured);
        assert!(cause.as_ref().is_none_or(|cause| cause.validity == Validity::Starved));
        cause.map(|cause| cause.evidence)
    }

    #[test]
    fn clients_that_get_nothing_are_told_with_what_they_wait_on() {
        let said = of_clients(&[8_000, 1, 1, 1, 1, 1, 1, 1], true, true).expect("seven starve");
        let expected = "7 of 8 clients completed less than a tenth of their share of 1000 tasks (1 to 8000 tasks a client, \
                        the longest wait for one 1.50s): the semaphore of async-lock gives a place to who asks first";
        assert_eq!(said, expected);
        let said = of_clients(&[8_000, 1, 1, 1, 1, 1, 1, 1], false, false).expect("whatever it is");
        assert!(said.ends_with("the target or the executor served others first"), "{said}");
    }

    #[test]
    fn who_starves_at_a_shared_object_is_told_which() {
        let run = Fixture::closed("smol", 1).cell("smol", &[], &[100.0]).build();
        let Outcome::Measured(measured) = &run.trials[0].outcome else { panic!("it was measured") };
        let mut measured = measured.loads[0].clone();
        measured.clients = Clients::of(&[8_000, 1, 1, 1, 1, 1, 1, 1], 1_500_000_000);
        let facts = [("semaphore gate", NAME), ("waiting for semaphore gate", "who asks first")];
        let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
        measured.trial_mut().facts.extend(facts);
        let row = run.header.cells[0].rows().next().expect("it has a load");
        let said = cause(row, &measured).expect("seven starve").evidence;
        let expected = ": semaphore gate (the semaphore of async-lock): who asks first";
        assert!(said.ends_with(expected), "{said}");
    }

    #[test]
    fn shares_that_differ_by_chance_or_by_the_scenario_are_no_starvation() {
        assert_eq!(of_clients(&[1_000; 8], true, false), None);
        assert_eq!(of_clients(&[500, 1_500, 1_000, 1_000], true, false), None);
        // A share of nineteen is too small to tell.
        assert_eq!(of_clients(&[38, 0], true, false), None);
        assert!(of_clients(&[40, 0], true, false).is_some());
        // One in sixty-four may have met a slow call; where delays are drawn, more may have.
        let mut one = vec![100; 63];
        one.push(1);
        assert_eq!(of_clients(&one, false, false), None);
        assert_eq!(of_clients(&[8_000, 1, 1, 1, 1, 1, 1, 1], false, true), None);
    }

    /// A trial with waits for a pool: short ones and long ones, of which so many were passed over.
    fn of_waits(name: &str, long: u64, passed_over: u64) -> Option<Cause> {
        let run = Fixture::closed("smol", 1).cell("smol", &[], &[100.0]).build();
        let Outcome::Measured(measured) = &run.trials[0].outcome else { panic!("it was measured") };
        let mut measured = measured.loads[0].clone();
        let mut latency = Histo::new();
        latency.0.saturating_record_n(1_000, 10_000);
        latency.0.saturating_record_n(20_000_000, long);
        let stream = Stream {
            latency,
            passed_over,
            passed_over_ns: passed_over * 20_000_000,
            ..Stream::default()
        };
        measured.steps = vec![NamedStream { name: name.into(), top_level: false, stream }];
        cause(run.header.cells[0].rows().next()?, &measured)
    }

    #[test]
    fn waits_in_which_others_are_served_first_are_told_where_they_are_much_of_the_waiting() {
        let said = of_waits("db.pool-wait", 100, 100).expect("nearly all of the waiting").evidence;
        assert!(
            said.starts_with("in 100 waits for a connection to db more than 20 times"),
            "{said}"
        );
        assert!(of_waits("db.pool-wait", 100, 5).is_none(), "others waited as long, and in order");
        assert!(of_waits("db.pool-wait", 2, 2).is_none(), "two are an accident");
        assert!(of_waits("db", 100, 100).is_none(), "that is a step");
    }
}
