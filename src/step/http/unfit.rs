//! What a scenario says of following a list that does not fit: to the request, or to the target.

use super::{
    expect::HttpExpect,
    follow::Follow,
    spec::{Http, HttpLifetime, Verb},
};
use crate::{
    config::Fields,
    targets::http::{HttpList, HttpTarget},
};

/// Reports what does not go together with following, or only with it.
pub(super) fn check(
    op: &mut Fields<'_>,
    step: &mut Fields<'_>,
    follow: Option<&Follow>,
    method: Verb,
    expect: &HttpExpect,
) {
    let Some(follow) = follow else {
        if expect.is_of_a_list() {
            let help = "add `follow` to the operation, or write `status` and `bytes`";
            let message = "`pages` and `items` are about a list that is followed";
            step.reject("expect", message, Some(help.into()));
        }
        return;
    };
    if method != Verb::Get {
        let help = "remove `method`, or remove `follow`";
        op.reject("method", "pages are asked for with GET", Some(help.into()));
    }
    for key in BODIES {
        if op.has(key) {
            let message = format!("pages are asked for without `{key}`");
            op.reject(key, message, Some(format!("remove `{key}` or `follow`")));
        }
    }
    if expect.is_of_a_body() {
        let message = "`bytes` and `sha256` are about one body, and each page has another one";
        step.reject("expect", message, Some("write `pages` and `items`".into()));
    }
    if expect.items.is_some() && follow.items.is_none() {
        let help = "add where they are to `follow`, such as items = \"/items\"";
        step.reject("expect", "nobody says which items are counted", Some(help.into()));
    }
}

/// The keys that say what the body is.
pub(super) const BODIES: [&str; 4] = ["body", "body_size", "body_file", "body_raw"];

/// How many requests a call makes that ends well, as far as the server is known.
pub(super) fn pages(spec: &Http, server: &HttpTarget) -> u64 {
    let list = server.list.as_ref().filter(|_| spec.follow.is_some());
    list.map_or(1, HttpList::pages)
}

/// What does not go together with this server, and what helps.
pub(super) fn complaint(spec: &Http, server: &HttpTarget) -> Option<(String, String)> {
    if let Some(complaint) = unlike_version(spec, server) {
        return Some(complaint);
    }
    if spec.connection == Some(HttpLifetime::Pool) && server.pool.is_none() {
        let message = format!("`{}` has no pool", spec.target.text);
        return Some((message, "give the target one: `pool = { max = 16 }`".into()));
    }
    let is_pooled = spec.lifetime(server.pool.is_some()) == HttpLifetime::Pool;
    if is_pooled && spec.chunk.is_some() {
        let message =
            format!("the connections of the pool of `{}` are all alike", spec.target.text);
        return Some((message, "remove `chunk`, or write connection = \"keep\"".into()));
    }
    if server.url.is_some() {
        return None;
    }
    let (path, query) = spec.path.0.text().split_once('?').unwrap_or((spec.path.0.text(), ""));
    let name = &spec.target.text;
    match (&spec.follow, &server.list) {
        (None, Some(list)) if path == list.path => unlike_page(spec, query),
        (Some(_), None) => Some((
            format!("`{name}` has no list whose pages could be followed"),
            "give the target one, such as list = { items = 100, page = 20 }".into(),
        )),
        (Some(_), Some(list)) if path != list.path => Some((
            format!("the list of `{name}` is not at this path"),
            format!("write path = {:?}", list.path),
        )),
        (Some(_), Some(_)) if query.split('&').any(|pair| pair.starts_with("page=")) => Some((
            "a list is followed from its first page".into(),
            "remove `page` from the path".into(),
        )),
        (Some(follow), Some(list)) => unlike(follow, &spec.expect, list),
        _ => None,
    }
}

/// What does not go over HTTP/2, and what helps.
fn unlike_version(spec: &Http, server: &HttpTarget) -> Option<(String, String)> {
    let (http2, name) = (server.http2.as_ref()?, &spec.target.text);
    if spec.chunk.is_some() {
        let message = format!(
            "`{name}` is asked over HTTP/2, where the server cuts an answer into frames, and `chunk` cannot say how long \
             they are"
        );
        return Some((message, "remove `chunk`, or `http2` from the target".into()));
    }
    let number = http2.shared()?;
    (spec.connection == Some(HttpLifetime::PerCall)).then(|| {
        (
            format!("all calls share the {number} HTTP/2 connections of `{name}`"),
            "remove `connection`, or write http2 = { connections = \"per-slot\" } in the target"
                .into(),
        )
    })
}

/// What is wrong with a call of the list's first page alone: for values that are taken from it.
fn unlike_page(spec: &Http, query: &str) -> Option<(String, String)> {
    let (list, name) = (spec.path.0.text(), &spec.target.text);
    if spec.values.take.is_empty() || query.split('&').any(|pair| pair.starts_with("page=")) {
        return Some((
            format!("`{list}` is of the list of `{name}`, of which each page is another answer"),
            "add `follow`, or `take` for values of the first page, or ask for another path".into(),
        ));
    }
    spec.expect.is_of_a_body().then(|| {
        let message = "`bytes` and `sha256` are known of a page of the embedded server's list";
        (message.into(), "remove them: each page is looked at to the last byte".into())
    })
}

/// What the scenario expects of a list and does not get.
fn unlike(follow: &Follow, expect: &HttpExpect, list: &HttpList) -> Option<(String, String)> {
    let pages = list.pages();
    if follow.max_pages.get() < pages {
        return Some((
            format!("the list has {pages} pages, and `max_pages` is {}", follow.max_pages),
            format!("write max_pages = {pages}, or put more items on a page"),
        ));
    }
    let all = [("pages", expect.pages, pages), ("items", expect.items, list.items)];
    let (key, wanted, found) =
        all.into_iter().find(|(_, wanted, found)| wanted.is_some_and(|wanted| wanted != *found))?;
    let wanted = wanted.unwrap_or_default();
    Some((
        format!("the list has {found} {key}, and `expect` says {wanted}"),
        format!("write {key} = {found}, or change the target's list"),
    ))
}

#[cfg(test)]
mod tests {
    use crate::step::testing::{errors_of, read_step, read_target};

    fn errors(more: &str) -> Vec<String> {
        errors_of(&format!("{{ http = {{ target = 'api', path = '/list', {more} }}"))
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_a_remedy() {
        let link = "follow = { by = 'link' }";
        for (more, said, remedy) in [
            ("follow = { by = 'json' } }", "in its JSON", "next = \"/next\""),
            ("follow = { by = 'link', next = '/next' } }", "about JSON", "remove `next`"),
            ("follow = { by = 'json', next = 'next' } }", "begins with `/`", "write `/`"),
            ("follow = { by = 'link', items = 'a' } }", "begins with `/`", "write `/`"),
            (&format!("{link}, method = 'POST' }}"), "with GET", "remove `method`"),
            (&format!("{link}, body = 'a' }}"), "without `body`", "remove `body`"),
            (&format!("{link}, body_size = 9 }}"), "without `body_size`", "remove `body_size`"),
            (&format!("{link} }}, expect = {{ bytes = 9 }}"), "one body", "write `pages`"),
            (&format!("{link} }}, expect = {{ items = 9 }}"), "nobody says", "items = \"/items\""),
            ("chunk = '4KiB' }, expect = { pages = 9 }", "a list that is followed", "add `follow`"),
        ] {
            let wrong = errors(more);
            assert!(
                wrong.len() == 1 && wrong[0].contains(said) && wrong[0].contains(remedy),
                "{more}: {wrong:?}"
            );
        }
        assert_eq!(errors("follow = { by = 'link', max_pages = 0 } }").len(), 1);
        let fine = "follow = { by = 'json', next = '/a/b', items = '' } }, expect = { pages = 2, items = 9 }";
        assert_eq!(errors(fine), [""; 0]);
    }

    #[test]
    fn what_the_target_does_not_have_is_refused_with_a_remedy() {
        let complaint = |target: &str, step: &str| {
            let target = read_target(&format!("{{ http = {target} }}")).unwrap();
            let step = format!("{{ http = {{ target = 'api', path = '/list{step} }}");
            read_step(&step).unwrap_or_else(|why| panic!("{step}: {why:?}")).complaint(&target)
        };
        let (list, follow) = ("{ list = { items = 9, page = 2 } }", "follow = { by = 'link'");
        for (target, step, said, remedy) in [
            ("{}", format!("', {follow} }} }}"), "no list", "list = { items"),
            (list, format!("s', {follow} }} }}"), "not at this path", "\"/list\""),
            (list, format!("?page=2', {follow} }} }}"), "first page", "remove `page`"),
            (list, format!("', {follow}, max_pages = 4 }} }}"), "has 5 pages", "max_pages = 5"),
            (list, format!("', {follow} }} }}, expect = {{ pages = 4 }}"), "says 4", "pages = 5"),
            (
                list,
                format!("', {follow}, items = '/items' }} }}, expect = {{ items = 8 }}"),
                "has 9 items",
                "items = 9",
            ),
            (list, "' }".into(), "of the list", "add `follow`"),
            (
                list,
                "?page=2', take = { a = { json = '/next' } } }".into(),
                "of the list",
                "`take` for values of the first page",
            ),
            (
                list,
                "', take = { a = { json = '/next' } } }, expect = { bytes = 9 }".into(),
                "are known",
                "remove them",
            ),
        ] {
            let (found, help) = complaint(target, &step).unwrap_or_else(|| panic!("{step}"));
            assert!(found.contains(said) && help.contains(remedy), "{step}: {found}; {help}");
        }
        assert_eq!(complaint(list, &format!("?a=1', {follow} }} }}")), None);
        assert_eq!(complaint(list, "?a=1', take = { a = { json = '/next' } } }"), None);
        assert_eq!(complaint("{ url = 'http://h' }", &format!("', {follow} }} }}")), None);
    }

    #[test]
    fn a_call_makes_as_many_requests_as_there_are_pages() {
        let step =
            read_step("{ http = { target = 'api', path = '/list', follow = { by = 'link' } } }");
        let (step, plain) =
            (step.unwrap(), read_step("{ http = { target = 'api', path = '/' } }").unwrap());
        let target = read_target("{ http = { delay = '2ms', list = { items = 9, page = 2 } } }");
        let target = target.unwrap();
        assert_eq!((step.operations(&target), plain.operations(&target)), (5, 1));
        let least = |step: &crate::step::StepSpec| step.cost(&|_| Some(&target)).least;
        assert_eq!((least(&step).as_millis(), least(&plain).as_millis()), (10, 2));
    }
}
