//! The way through a list: one page after another, each asked for when the one before has said
//! where it is.

use std::sync::Arc;

use hyper::{Uri, header::HOST};
use url::Url;

use super::{
    answer::{HttpAnswer, ListPage, Want},
    client::HttpClient,
    follow::Follow,
    link::LinkRoute,
    next::{path_of, resolve, turn},
    shared::HttpShared,
};
use crate::{
    draw,
    runtime::Native,
    step::{Call, Done, Failure, Opening, Operation, StepOutcome, asked_wait::AskedWait},
    targets::http::HttpList,
};

/// A slot's client that follows a list.
pub(super) struct HttpWalk<N: Native> {
    client: HttpClient<N>,
    follow: Arc<Follow>,
    /// Room for the page that is read.
    page: ListPage,
    /// Room for templates.
    text: String,
}

/// What was seen of a list so far.
#[derive(Debug, Default)]
struct Walked {
    pages: u64,
    items: u64,
    done: Done,
}

/// Where a page is.
struct PagePlace {
    /// What is sent of it.
    path: Uri,
    /// The whole of it, once a page has named it.
    url: Option<Url>,
}

impl<N: Native> HttpWalk<N> {
    /// A client that has no connection yet.
    pub(super) fn new(
        shared: Arc<HttpShared>,
        follow: Arc<Follow>,
        route: LinkRoute<N>,
        asked: Option<Arc<AskedWait>>,
    ) -> Self {
        let (page, text) = (ListPage::default(), String::new());
        Self { client: HttpClient::new(shared, route, asked, None), follow, page, text }
    }

    /// All pages, one after another.
    async fn walk(&mut self, call: &Call) -> StepOutcome {
        let shared = self.client.shared();
        let path = shared.place(call, &mut self.text).map_err(|why| shared.wrong(&why))?;
        let mut place = PagePlace { path, url: None };
        let mut walked = Walked::default();
        loop {
            let id = page_id(self.client.shared().id(call), walked.pages);
            let answer = match self.ask(call, &place.path, id).await {
                Ok(answer) => answer,
                Err(ended) => return walked.ended(ended),
            };
            let Some(next) = self.judge(&mut walked, &answer, id)? else {
                return Ok(walked.done);
            };
            place = self.after(&place, &next).map_err(|why| self.wrong(&walked, &why))?;
        }
    }

    /// Asks for a page; else how the call ends.
    async fn ask(&mut self, call: &Call, path: &Uri, id: u64) -> Result<HttpAnswer, StepOutcome> {
        let make = |shared: &HttpShared, text: &mut String| {
            shared.request_to(path.clone(), id, call, text)
        };
        let (connection, answer, _) =
            self.client.answered(make, Want::Page(&mut self.page)).await?;
        self.client.keep(connection);
        Ok(answer)
    }

    /// The place that the page at `place` calls the next one.
    fn after(&self, place: &PagePlace, next: &str) -> Result<PagePlace, String> {
        let url = match &place.url {
            Some(here) => resolve(here, next)?,
            None => resolve(&start(self.client.shared(), &place.path)?, next)?,
        };
        Ok(PagePlace { path: path_of(&url)?, url: Some(url) })
    }

    /// Checks a page; gives the reference to the next one, or none where the way ends.
    fn judge(
        &self,
        walked: &mut Walked,
        answer: &HttpAnswer,
        id: u64,
    ) -> Result<Option<String>, Failure> {
        let shared = self.client.shared();
        let known = shared.endpoint.pages_xxh3().get(walked.pages as usize).copied();
        walked.pages += 1;
        walked.done.received += answer.bytes;
        let judged = shared.expected.judge(answer, id, known);
        if judged.map_err(|why| self.wrong(walked, &why))? {
            walked.done.errors += 1;
            self.client.pass_on(answer);
            return Ok(None);
        }
        let turn = turn(&self.follow, &self.page).map_err(|why| self.wrong(walked, &why))?;
        walked.items += turn.items;
        let most = self.follow.max_pages.get();
        if turn.next.is_some() && walked.pages == most {
            let why = format!(
                "it names a next one, and `max_pages` is {most}; raise it, or correct the server"
            );
            return Err(self.wrong(walked, &why));
        }
        match turn.next {
            None => self.check(walked).map(|()| None),
            next => Ok(next),
        }
    }

    /// Compares what was seen of a whole list with what it has.
    fn check(&self, walked: &Walked) -> Result<(), Failure> {
        let shared = self.client.shared();
        let (expect, list) = (&shared.spec.expect, shared.endpoint.list());
        let items = list.filter(|_| self.follow.items.is_some()).map(|list| list.items);
        let pages = list.map(HttpList::pages);
        for (what, expected, found) in [
            ("pages", expect.pages.or(pages), walked.pages),
            ("items", expect.items.or(items), walked.items),
        ] {
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                let why = format!("expected {expected} {what} in all, found {found}");
                return Err(shared.wrong(&why));
            }
        }
        Ok(())
    }

    fn wrong(&self, walked: &Walked, why: &str) -> Failure {
        self.client.shared().wrong(&format!("page {}: {why}", walked.pages))
    }
}

impl Walked {
    /// How a call ends that got no answer for its next page, where that is allowed.
    fn ended(self, ended: StepOutcome) -> StepOutcome {
        let mut done = self.done;
        done.add(ended?);
        Ok(done)
    }
}

/// The id of a page, so that each has a draw of its own; the first one has the call's.
fn page_id(call: u64, page: u64) -> u64 {
    if page == 0 { call } else { draw::mix(call, page) }
}

/// The url of the first page: on the host that the request names.
fn start(shared: &HttpShared, place: &Uri) -> Result<Url, String> {
    let own = shared.filled.headers.iter().find(|(name, _)| *name == HOST);
    let host = own.and_then(|(_, value)| value.constant());
    let host = host.as_deref().unwrap_or(&shared.endpoint.host);
    let url = Url::parse(&format!("{}://{host}{place}", shared.endpoint.scheme()));
    url.map_err(|why| format!("the first page has no url: {why}"))
}

impl<N: Native> Operation for HttpWalk<N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.client.prepare().await
    }

    async fn open(&mut self, when: Opening) -> StepOutcome {
        self.client.open(when).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let outcome = self.walk(&call).await;
        self.client.leave();
        outcome
    }
}

#[cfg(test)]
mod tests;
