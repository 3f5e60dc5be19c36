//! The structure inside of modules, read from the sources: files do not import each other in
//! circles, and no name is given to two types.
//!
//! A file that names an item needs the file that defines it, by whatever way it finds it: what a
//! `mod.rs` only passes on (`pub use child::X`) is its child's. So a folder whose files find each
//! other through `super` has a circle only where the definitions have one.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{Source, sources};

/// Circles that are still there, all files of each. What is opened leaves the list.
const KNOWN_CIRCLES: &[&[&str]] = &[];

/// Names that several types have still: one word should mean one thing.
const KNOWN_TWINS: &[&str] = &[];

/// A place among modules: `["cli", "run"]` is `src/cli/run.rs`.
type Place = Vec<String>;

/// A path in a `use` or in code: `["super", "list", "short"]`.
type Words = Vec<String>;

/// What a source says of others.
struct File {
    path: String,
    /// By the name that it has in this file: the path of what is imported.
    imports: BTreeMap<String, Words>,
    /// The code without imports and declarations of modules.
    body: String,
    /// The paths in that.
    paths: Vec<Words>,
    /// Whether it has files of its own, to which it may pass on what others want.
    is_parent: bool,
}

fn words(path: &str) -> Words {
    path.split("::").map(|word| word.trim().trim_start_matches('$').to_owned()).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn place(path: &str) -> Place {
    let below = path.trim_start_matches("src/").trim_end_matches(".rs");
    let below = below.strip_suffix("/mod").unwrap_or(below);
    if below == "lib" { Vec::new() } else { below.split('/').map(str::to_owned).collect() }
}

/// The parts of a list, which end with commas outside of braces.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            found.push(&list[begin..at]);
            begin = at + 1;
        }
    }
    found.push(&list[begin..]);
    found.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// What a tree of imports names, each by its name in the file and its path.
fn leaves(tree: &str, before: &str) -> Vec<(String, Words)> {
    let leaf = |part: &str| {
        if let Some((head, list)) = part.split_once('{') {
            let list = list.rsplit_once('}').map_or(list, |(list, _)| list);
            return leaves(list, &format!("{before}{head}"));
        }
        let (path, name) = part.split_once(" as ").unwrap_or((part, ""));
        let mut path = words(&format!("{before}{path}"));
        path.pop_if(|last| last == "self" && !path_is_alone(part, before));
        let last = path.last().cloned().unwrap_or_default();
        // A trait without a name is still imported.
        let name = match name.trim() {
            "" => last,
            "_" => path.join("::"),
            name => name.to_owned(),
        };
        vec![(name, path)]
    };
    parts(tree).into_iter().flat_map(leaf).collect()
}

/// Whether a part is all of its path.
fn path_is_alone(part: &str, before: &str) -> bool {
    before.is_empty() && !part.contains("::")
}

/// The paths in a code: words with `::` between them.
fn paths(code: &str) -> Vec<Words> {
    let tokens = code.split(|c: char| !is_word(c) && c != ':' && c != '$');
    let tokens = tokens.map(|token| token.trim_matches(':')).filter(|token| token.contains("::"));
    tokens.map(words).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !is_word(c)).any(|found| found == word)
}

/// Takes imports and declarations of modules out of a code.
fn take_imports(code: &str) -> (BTreeMap<String, Words>, String) {
    let (mut imports, mut body) = (BTreeMap::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let bare = trimmed.strip_prefix("pub").map_or(trimmed, |rest| {
            let rest = rest.trim_start();
            rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, r)| r)
        });
        let bare = bare.trim_start();
        if let Some(first) = bare.strip_prefix("use ") {
            let mut tree = first.to_owned();
            while !tree.contains(';') {
                let Some(more) = lines.next() else { break };
                tree.push_str(more.trim());
                tree.push(' ');
            }
            imports.extend(leaves(tree.trim_end().trim_end_matches(';'), ""));
        } else if !(bare.starts_with("mod ") && bare.ends_with(';')) {
            body.push_str(line);
            body.push('\n');
        }
    }
    (imports, body)
}

/// Where `path` is visible from, relative to a file: the module, and what of the path is left.
fn start<'w>(
    files: &BTreeMap<Place, File>,
    from: &Place,
    path: &'w [String],
) -> Option<(Place, &'w [String])> {
    let child = || [from.clone(), vec![path[0].clone()]].concat();
    match path.first()?.as_str() {
        "crate" => Some((Vec::new(), &path[1..])),
        "self" => Some((from.clone(), &path[1..])),
        "super" => {
            let ups = path.iter().take_while(|word| *word == "super").count();
            let depth = from.len().checked_sub(ups)?;
            Some((from[..depth].to_vec(), &path[ups..]))
        }
        _ if files.contains_key(&child()) => Some((from.clone(), path)),
        _ => None,
    }
}

/// The module that defines what a path names; none where that is a module itself, or foreign.
fn definer(
    files: &BTreeMap<Place, File>,
    from: &Place,
    path: &[String],
    depth: u32,
) -> Option<Place> {
    // Names that are passed on in a ring would be a mistake of the compiler's.
    let depth = depth.checked_sub(1)?;
    let Some((mut module, mut rest)) = start(files, from, path) else {
        // What was imported may be a module.
        let imported = files.get(from)?.imports.get(path.first()?)?;
        let is_itself = imported.len() == 1 && imported[0] == path[0];
        let whole = [imported.clone(), path[1..].to_vec()].concat();
        return if is_itself { None } else { definer(files, from, &whole, depth) };
    };
    while let Some((first, more)) = rest.split_first() {
        let below = [module.clone(), vec![first.clone()]].concat();
        if !files.contains_key(&below) {
            break;
        }
        (module, rest) = (below, more);
    }
    let name = rest.first()?;
    match files.get(&module)?.imports.get(name) {
        Some(passed_on) if passed_on.len() > 1 || passed_on[0] != *name => {
            let whole = [passed_on.clone(), rest[1..].to_vec()].concat();
            definer(files, &module, &whole, depth)
        }
        _ => Some(module),
    }
}

fn read(sources: &[Source]) -> BTreeMap<Place, File> {
    let ours = sources.iter().filter(|source| !["main", "simulation"].contains(&source.module()));
    let mut files: BTreeMap<Place, File> = ours
        .map(|source| {
            let (imports, body) = take_imports(&source.code());
            let (path, paths) = (source.path.clone(), paths(&body));
            (place(&source.path), File { path, imports, body, paths, is_parent: false })
        })
        .collect();
    let parents: BTreeSet<Place> =
        files.keys().filter_map(|place| Some(place.split_last()?.1.to_vec())).collect();
    for (place, file) in &mut files {
        file.is_parent = parents.contains(place);
    }
    files
}

/// Which files of a module need which others of it.
fn needs(files: &BTreeMap<Place, File>) -> BTreeMap<&Place, BTreeSet<Place>> {
    let mut needs = BTreeMap::new();
    for (place, file) in files.iter().filter(|(place, _)| !place.is_empty()) {
        // What a parent imports and does not use is for its children.
        let is_used = |name: &str| !file.is_parent || has_word(&file.body, name);
        let imported = file.imports.iter().filter(|(name, _)| is_used(name)).map(|(_, path)| path);
        let named = imported.chain(&file.paths);
        let found = named.filter_map(|path| definer(files, place, path, 20));
        let others = found.filter(|found| found != place && found.first() == place.first());
        needs.insert(place, others.collect::<BTreeSet<Place>>());
    }
    needs
}

/// All that a file needs, and what that needs, and so on.
fn reach<'a>(
    needs: &'a BTreeMap<&'a Place, BTreeSet<Place>>,
    from: &'a Place,
) -> BTreeSet<&'a Place> {
    let (mut seen, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(place) = ahead.pop() {
        for next in needs.get(place).into_iter().flatten() {
            if seen.insert(next) {
                ahead.push(next);
            }
        }
    }
    seen
}

/// The files of each circle.
fn circles(sources: &[Source]) -> BTreeSet<Vec<String>> {
    let files = read(sources);
    let needs = needs(&files);
    let reached: BTreeMap<&Place, BTreeSet<&Place>> =
        needs.keys().map(|place| (*place, reach(&needs, place))).collect();
    let in_a_circle = reached.iter().filter(|(place, reached)| reached.contains(*place));
    in_a_circle
        .map(|(place, all)| {
            let back = all.iter().filter(|other| reached[**other].contains(place));
            back.map(|other| files[*other].path.clone()).collect()
        })
        .collect()
}

/// Circles beside those that are known, and known ones that are gone or have become smaller.
fn complaints_of_circles(sources: &[Source]) -> Vec<String> {
    let known: BTreeSet<Vec<String>> = KNOWN_CIRCLES
        .iter()
        .map(|files| files.iter().map(|file| (*file).to_owned()).collect())
        .collect();
    let found = circles(sources);
    let new = found.difference(&known).map(|files| {
        format!("these files import each other in a circle; open it: {}", files.join(", "))
    });
    let gone = known.difference(&found).map(|files| {
        format!("this circle is another one now; change KNOWN_CIRCLES: {}", files.join(", "))
    });
    new.chain(gone).collect()
}

/// The type that a line defines, if it does. Types inside of functions are nobody else's affair.
fn type_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub").map_or(line, |rest| {
        let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        inner.map_or(rest, |(_, rest)| rest).trim_start()
    });
    let kinds = ["struct ", "enum ", "trait ", "union ", "type ", "unsafe trait "];
    let name = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    Some(&name[..name.find(|c| !is_word(c)).unwrap_or(name.len())])
}

/// The files that define a type of each name.
fn types(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.module() != "simulation") {
        for name in source.code().lines().filter_map(type_of) {
            found.entry(name.to_owned()).or_default().push(source.path.clone());
        }
    }
    found
}

/// Names that several types have, beside those that are known; and known ones that are unique now.
fn complaints_of_twins(sources: &[Source]) -> Vec<String> {
    let mut twins = types(sources);
    twins.retain(|_, files| files.len() > 1);
    let new = twins.iter().filter(|(name, _)| !KNOWN_TWINS.contains(&name.as_str()));
    let new = new.map(|(name, files)| {
        format!(
            "`{name}` is the name of several types; one word for one thing: {}",
            files.join(", ")
        )
    });
    let gone = KNOWN_TWINS.iter().filter(|name| !twins.contains_key(**name));
    let gone = gone.map(|name| format!("`{name}` means one thing now: take it out of KNOWN_TWINS"));
    new.chain(gone).collect()
}

#[test]
fn files_have_no_circles() {
    let complaints = complaints_of_circles(&sources("src"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn one_name_means_one_type() {
    let complaints = complaints_of_twins(&sources("src"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

fn circle_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(name, text)| {
            Source::new(&format!("src/zoo/{name}.rs"), &format!("//! A.\n{text}\n"))
        })
        .collect();
    circles(&sources).into_iter().collect()
}

#[test]
fn a_circle_is_seen_by_whatever_way_the_files_find_each_other() {
    let both = vec![vec!["src/zoo/ape.rs".to_owned(), "src/zoo/bee.rs".to_owned()]];
    let parent = "mod ape;\nmod bee;\npub use ape::Ape;\npub(super) use self::bee::{Bee, hum};";
    for (ape, bee) in [
        ("use super::Bee;", "use super::{other, Ape};"),
        ("use super::bee::Bee as Fly;", "use crate::zoo::Ape;"),
        ("fn f() { super::hum() }", "use super::ape::{self};\nfn f() { ape::swing() }"),
        (
            "use crate::{clock,\n    zoo::{\n        Bee as _,\n    },\n};",
            "use super::*;\nuse super::Ape;",
        ),
    ] {
        assert_eq!(circle_of(&[("mod", parent), ("ape", ape), ("bee", bee)]), both, "{ape} {bee}");
    }
    // A child that needs what its parent defines, which needs the child.
    let own = "mod ape;\npub struct Zoo(ape::Ape);";
    assert_eq!(circle_of(&[("mod", own), ("ape", "use super::Zoo;")]).len(), 1);
}

#[test]
fn a_parent_that_passes_on_is_no_circle() {
    let parent = "mod ape;\nmod bee;\npub use ape::Ape;\nuse self::bee::Bee;\n// Bee\n";
    let ape = "use super::Bee;\nuse std::fmt;\nfn f(ape: &super::Bee) { Self::g() }";
    assert_eq!(circle_of(&[("mod", parent), ("ape", ape), ("bee", "pub struct Bee;")]).len(), 0);
    let tests = "pub struct Bee;\n#[cfg(test)]\nmod tests {\n    use super::super::Ape;\n}";
    assert_eq!(circle_of(&[("mod", parent), ("ape", ape), ("bee", tests)]).len(), 0);
}

#[test]
fn a_name_that_two_types_have_is_seen() {
    let zoo = |name: &str, text: &str| Source::new(&format!("src/zoo/{name}.rs"), text);
    let new = |text: &str| {
        let all = complaints_of_twins(&[
            zoo("ape", "//! A.\npub struct Cage<T>(T);\n"),
            zoo("bee", text),
        ]);
        all.iter().filter(|complaint| complaint.contains("`Cage`")).count()
    };
    for twin in ["enum Cage {", "pub(super) trait Cage: Sized {", "pub type Cage = u8;"] {
        assert_eq!(new(&format!("//! B.\n{twin}\n")), 1, "{twin}");
    }
    for other in ["struct Cages;", "impl Cage {", "    struct Cage;", "// struct Cage;"] {
        assert_eq!(new(&format!("//! B.\n{other}\n")), 0, "{other}");
    }
}
