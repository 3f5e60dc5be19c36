//! What stands in the wrong place: it is told once, and then read as if it stood in the right one,
//! so that nothing follows from it.

use crate::{
    config::{Diagnostics, Name, Node, Value, nearest, quote},
    targets::TargetSpec,
};

/// The tables of a file, and other names that people give them.
const TABLES: &[(&str, &[&str])] = &[
    ("run", &["runs", "settings", "config"]),
    ("params", &["param", "parameters", "parameter", "vars"]),
    ("sweep", &["sweeps", "matrix"]),
    ("executors", &["executor", "runtimes", "runtime"]),
    ("targets", &["target"]),
    ("shared", &["objects", "coordination"]),
    ("data", &["rows", "csv"]),
    ("tasks", &["task"]),
    ("load", &["loads"]),
    ("claim", &["claims"]),
    ("slo", &["slos"]),
];

/// Keys of one table only, and where that is.
const HOMES: &[(&str, &[&str])] = &[
    ("under [run]", &["rounds", "warmup", "duration", "seed", "probe"]),
    ("under [executors]", &["use", "baseline", "workers", "stack_size"]),
    (
        "beside a step's operation, as in { http = { … }, expect = { … } }",
        &["expect", "allow", "on_timeout"],
    ),
    (
        "under [run], or beside a step's operation, as in { http = { … }, timeout = \"1s\" }",
        &["timeout"],
    ),
    ("beside a step's operation, as in { http = { … }, name = \"get\" }", &["name"]),
    ("in closed = { … }", &["concurrency", "think"]),
    ("in open = { … }", &["rate", "arrival", "max_in_flight", "overflow"]),
    ("in open = { … } or closed = { … }", &["stages", "drain"]),
    ("in batch = { … } or closed = { … }", &["tasks"]),
    (
        "under [targets.NAME], as in http = { url = \"http://127.0.0.1:3000\" }; a step names its target",
        &["url"],
    ),
    ("under [shared.NAME], as in queue = { capacity = 16 }", &["capacity"]),
    ("under [data.NAME], as in csv = \"users.csv\"", &["pick"]),
    ("under [shared.NAME], as in semaphore = { permits = 4 }", &["permits"]),
    ("under [tasks.NAME]", &["steps"]),
];

/// Where a key belongs that another table does not know.
pub(super) fn home(key: &str) -> Option<String> {
    let (place, _) = HOMES.iter().find(|(_, keys)| keys.contains(&key))?;
    Some(format!("`{key}` belongs {place}"))
}

/// The keys of the file itself.
const TOP: &[&str] = &[
    "schema",
    "name",
    "question",
    "run",
    "params",
    "sweep",
    "executors",
    "targets",
    "shared",
    "data",
    "tasks",
    "load",
    "claim",
    "slo",
];

/// What steps and load call a target and a task, so that one without a name is the one that they
/// mean.
struct Names {
    target: Option<String>,
    task: Option<String>,
}

/// The first text that stands under this key.
fn first_text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    if let Value::Array(items) = &node.value {
        return items.iter().find_map(|item| first_text(item, key));
    }
    let of = |(name, inner): &'a (Name, Node)| match &inner.value {
        Value::Text(text) if name.text == key => Some(text.as_str()),
        _ => first_text(inner, key),
    };
    node.entries().iter().find_map(of)
}

/// The file with its tables where they belong; what was moved is reported.
pub(super) fn settle(root: Node, diagnostics: &mut Diagnostics) -> Node {
    let used = |key| first_text(&root, key).map(str::to_owned);
    let names = Names { target: used("target"), task: used("task") };
    let Node { span, value: Value::Table(entries) } = root else { return root };
    let present: Vec<String> = entries.iter().map(|(name, _)| name.text.clone()).collect();
    let settled = entries.into_iter().filter_map(|(name, node)| {
        if TOP.contains(&name.text.as_str()) {
            let (node, told) = single(&name, node, diagnostics);
            let node = named(&name, node, told, &names, diagnostics);
            return Some((name, node));
        }
        renamed(name, node, &present, &names, diagnostics)
    });
    Node { span, value: Value::Table(settled.collect()) }
}

/// A table under a name that is nearly right, or a key of a table that stands at the top.
fn renamed(
    name: Name,
    node: Node,
    present: &[String],
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<(Name, Node)> {
    let is_table = matches!(node.value, Value::Table(_) | Value::Array(_));
    let known = TABLES
        .iter()
        .find(|(_, others)| others.contains(&name.text.as_str()))
        .map(|(table, _)| *table);
    let near = || nearest(&name.text, TABLES.iter().map(|(table, _)| *table));
    if let Some(table) = known.or_else(near).filter(|_| is_table) {
        let help = format!("write {} in place of {}", header(table), header_as(&name.text, table));
        diagnostics.error(
            name.span.clone(),
            format!("unknown table {}", quote(&name.text)),
            Some(help),
        );
        if present.iter().any(|other| other == table) {
            return None;
        }
        let moved = Name { text: table.to_owned(), span: name.span };
        let (mut nothing, list) = (diagnostics.fork(), ["claim", "slo"].contains(&table));
        let is_right = matches!(node.value, Value::Array(_)) == list;
        let node = if is_right { node } else { single(&moved, node, &mut nothing).0 };
        let node = named(&moved, node, true, names, diagnostics);
        return Some((moved, node));
    }
    let Some(help) =
        home(&name.text).filter(|_| nearest(&name.text, TOP.iter().copied()).is_none())
    else {
        return Some((name, node));
    };
    diagnostics.error(name.span, format!("{} does not belong here", quote(&name.text)), Some(help));
    None
}

/// How a table begins.
fn header(table: &str) -> String {
    header_as(table, table)
}

fn header_as(name: &str, table: &str) -> String {
    match table {
        "claim" | "slo" => format!("[[{name}]]"),
        "targets" | "shared" | "data" | "tasks" | "load" => format!("[{name}.NAME]"),
        _ => format!("[{name}]"),
    }
}

/// A table that begins with two brackets where one pair is right, or the other way round; and
/// whether that was told.
fn single(name: &Name, node: Node, diagnostics: &mut Diagnostics) -> (Node, bool) {
    let (table, span) = (name.text.as_str(), node.span.clone());
    let is_list = ["claim", "slo"].contains(&table);
    match node.value {
        Value::Table(_) if is_list => {
            diagnostics.error(
                name.span.clone(),
                format!("there may be several of `{table}`"),
                Some(brackets(table)),
            );
            (Node { span, value: Value::Array(vec![node]) }, true)
        }
        Value::Array(items)
            if !is_list && items.iter().any(|item| matches!(item.value, Value::Table(_))) =>
        {
            diagnostics.error(
                name.span.clone(),
                format!("`{table}` is no list of tables"),
                Some(brackets(table)),
            );
            (items.into_iter().next().unwrap_or(Node { span, value: Value::Invalid }), true)
        }
        Value::Array(items) if table == "executors" => {
            let names: Vec<String> =
                items.iter().map(|item| format!("\"{}\"", item.value)).collect();
            let help = format!("write executors = {{ use = [{}] }}", names.join(", "));
            diagnostics.error(name.span.clone(), "`executors` is a table", Some(help));
            let list = Node { span: span.clone(), value: Value::Array(items) };
            let key = Name { text: "use".to_owned(), span: name.span.clone() };
            (Node { span, value: Value::Table(vec![(key, list)]) }, true)
        }
        value => (Node { span, value }, false),
    }
}

fn brackets(table: &str) -> String {
    let [right, wrong] = match table {
        "claim" | "slo" => [header(table), format!("[{table}]")],
        _ => [header(table), format!("[[{table}]]")],
    };
    format!("write {right} in place of {wrong}")
}

/// A load, a target or a task without a name gets one; `told` says that something else is said
/// about it already.
fn named(
    table: &Name,
    node: Node,
    told: bool,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Node {
    let kinds: Vec<&str> = match table.text.as_str() {
        "load" => vec!["batch", "closed", "open"],
        "targets" => TargetSpec::TABLE.iter().map(|(key, _)| *key).collect(),
        "tasks" => vec!["steps"],
        _ => return node,
    };
    let (what, example) = match table.text.as_str() {
        "load" => ("a load", "load.clients"),
        "targets" => ("a target", "targets.api"),
        _ => ("a task", "tasks.request"),
    };
    let is_named = |(_, inner): &(Name, Node)| {
        matches!(&inner.value, Value::Table(_)) && is_entry(&table.text, inner, &kinds)
    };
    let nameless = |(name, _): &(Name, Node)| {
        kinds.contains(&name.text.as_str()) || (what == "a load" && name.text == "task")
    };
    let entries = node.entries();
    if !entries.iter().any(nameless) || entries.iter().any(is_named) {
        return node;
    }
    if !told {
        let help = format!("write [{example}] in place of [{}], or another name", table.text);
        diagnostics.error(table.span.clone(), format!("{what} has a name"), Some(help));
    }
    // Who does not know of names may not know of tasks either; one thing at a time.
    let lacks_task = table.text == "load" && node.get("task").is_none();
    let node = if lacks_task { Node { value: Value::Invalid, ..node } } else { node };
    let used = match table.text.as_str() {
        "targets" => names.target.clone(),
        "tasks" => names.task.clone(),
        _ => None,
    };
    let name =
        Name { text: used.unwrap_or_else(|| "nameless".to_owned()), span: table.span.clone() };
    Node { span: node.span.clone(), value: Value::Table(vec![(name, node)]) }
}

/// Whether a table is a load, a target or a task by itself, so that its key is a name.
fn is_entry(table: &str, node: &Node, kinds: &[&str]) -> bool {
    let has = |key: &str| node.get(key).is_some();
    kinds.iter().any(|kind| has(kind)) || (table == "load" && has("task"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scenario::json_schema, step::StepSpec};

    /// Whether any table in a schema has this key.
    fn knows(schema: &serde_json::Value, key: &str) -> bool {
        match schema {
            serde_json::Value::Object(entries) => {
                schema["properties"].get(key).is_some()
                    || entries.values().any(|inner| knows(inner, key))
            }
            serde_json::Value::Array(items) => items.iter().any(|item| knows(item, key)),
            _ => false,
        }
    }

    #[test]
    fn every_home_and_every_table_is_one_of_the_format() {
        let schema = json_schema();
        for key in HOMES.iter().flat_map(|(_, keys)| keys.iter()) {
            assert!(knows(&schema, key), "{key}");
        }
        for (table, others) in TABLES {
            assert!(schema["properties"].get(*table).is_some(), "{table}");
            assert!(
                others.iter().all(|other| schema["properties"].get(*other).is_none()),
                "{table}"
            );
        }
        assert!(TOP.iter().all(|key| schema["properties"].get(*key).is_some()));
        assert_eq!(schema["properties"].as_object().unwrap().len(), TOP.len());
        let operations = StepSpec::TABLE.iter().map(|(key, _)| *key);
        assert!(operations.into_iter().all(|key| home(key).is_none()));
    }
}
