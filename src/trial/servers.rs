//! Which servers of the user's own trials would act on, asked before any of them is measured.

use std::{collections::HashMap, sync::mpsc, thread, time::Duration};

use super::TrialPlan;
use crate::{measure::SERVER_FACTS, targets::TargetSpec};

/// The longest that a server is waited for: longer than the time limit of a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// What each plan's servers are known by, by the names that a trial's facts have. Servers are
/// asked, each once; one that does not answer is known by its address alone.
pub fn servers<'a>(plans: impl IntoIterator<Item = &'a TrialPlan>) -> Vec<Vec<(String, String)>> {
    let mut asked: HashMap<String, Vec<String>> = HashMap::new();
    let mut of = |plan: &TrialPlan| {
        let mut facts = Vec::new();
        for target in &plan.targets {
            // Targets that differ in nothing lead to the same server. What comes from a plan always
            // has a text.
            let key = serde_json::to_string(&target.spec)
                .unwrap_or_else(|_| format!("{} {}", plan.cell, target.name));
            let known_by =
                asked.entry(key).or_insert_with(|| known_by(&target.spec, PATIENCE)).iter();
            facts.extend(SERVER_FACTS.iter().zip(known_by).map(|(what, value)| {
                let name = format!("{}: {what}", target.name);
                (name, value.clone())
            }));
        }
        facts
    };
    plans.into_iter().map(&mut of).collect()
}

/// A value for each of [`SERVER_FACTS`], but only for the first where the server does not answer in
/// time.
fn known_by(spec: &TargetSpec, patience: Duration) -> Vec<String> {
    let Some(address) = spec.address() else { return Vec::new() };
    let (tell, told) = mpsc::sync_channel(1);
    let spec = spec.clone();
    // Somebody who keeps silent would be waited for without end. Nobody listens any more when it
    // speaks at last.
    let asking =
        thread::Builder::new().name("servers".into()).spawn(move || tell.send(spec.version()));
    let version = asking.ok().and_then(|_| told.recv_timeout(patience).ok()).flatten();
    std::iter::once(address).chain(version).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::{step::testing::read_target, targets::NamedTarget, trial::proof};

    #[test]
    fn who_does_not_answer_is_known_by_the_address() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = |scheme: &str| format!("{scheme}://me@{}/db", silent.local_addr().unwrap());
        for (kind, scheme) in [("sql", "postgres"), ("sql", "mysql"), ("document", "mongodb")] {
            let url = url(scheme).replace("me@", if kind == "document" { "" } else { "me@" });
            let spec = read_target(&format!("{{ {kind} = {{ url = '{url}' }} }}")).unwrap();
            assert_eq!(known_by(&spec, Duration::from_millis(1)), [url]);
        }
    }

    #[test]
    fn what_regatta_makes_itself_is_no_server_of_the_user_s() {
        let named = |name: &str, text: &str| NamedTarget {
            name: name.into(),
            spec: read_target(text).unwrap(),
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Nobody listens there any more.
        let closed =
            format!("{{ sql = {{ url = 'postgres://me@127.0.0.1:{port}/db?sslmode=require' }} }}");
        let targets =
            vec![named("own", "{ sql = {} }"), named("api", "{ http = {} }"), named("db", &closed)];
        let plan = TrialPlan { targets, ..proof::tests::plan() };
        let at = format!("postgres://me@127.0.0.1:{port}/db, encrypted");
        assert_eq!(servers([&plan, &plan]), vec![vec![("db: address".to_owned(), at)]; 2]);
    }
}
