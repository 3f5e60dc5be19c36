//! Connections that all instances of all steps of a target share: each is driven by a task of the
//! executor, and who uses which follows from the slot's number.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use bytes::Bytes;
use event_listener::Event;
use h2::client::SendRequest;
use hyper::Request;

use super::{
    super::{
        answer::{HttpAnswer, Want},
        failed::Failed,
        lost::Lost,
    },
    exchange::ask,
    open::{OpenStreams, open},
};
use crate::{
    client::SeenFrames,
    runtime::{Mutex as _, Native, Runtime},
    targets::http::HttpEndpoint,
};

/// A task that drives a connection.
type Drives = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The connections of a target.
pub(in crate::step::http) struct SharedLinks<N: Native> {
    endpoint: Arc<HttpEndpoint>,
    /// Starts a task of the executor.
    start: Box<dyn Fn(Drives) -> io::Result<()> + Send + Sync>,
    places: Vec<LinkPlace<N>>,
    opened: AtomicU64,
}

/// The place of a connection.
struct LinkPlace<N: Native> {
    /// One opens it, the others wait.
    opening: N::Mutex,
    current: Mutex<Option<SharedLink>>,
}

/// A connection as one of its users holds it.
#[derive(Clone)]
pub(in crate::step::http) struct SharedLink {
    sender: SendRequest<Bytes>,
    seen: Arc<SeenFrames>,
    drive: Arc<Drive>,
    number: u64,
}

/// What is known of the task that drives a connection.
#[derive(Debug, Default)]
struct Drive {
    is_over: AtomicBool,
    over: Event,
}

impl Drive {
    /// Waits for its end.
    async fn ended(&self) {
        while !self.is_over.load(Acquire) {
            let listener = self.over.listen();
            if self.is_over.load(Acquire) {
                return;
            }
            listener.await;
        }
    }
}

/// Says that the task is over, when it ends or is dropped.
struct SaysOver(Arc<Drive>);

impl Drop for SaysOver {
    fn drop(&mut self) {
        self.0.is_over.store(true, Release);
        self.0.over.notify(usize::MAX);
    }
}

impl<N: Native> SharedLinks<N> {
    /// So many, of which none is open.
    pub(in crate::step::http) fn new<R: Runtime<Native = N>>(
        number: usize,
        endpoint: Arc<HttpEndpoint>,
        runtime: R,
    ) -> Self {
        let place = || LinkPlace { opening: N::Mutex::new(), current: Mutex::new(None) };
        Self {
            endpoint,
            start: Box::new(move |drives| runtime.spawn_detached(drives)),
            places: std::iter::repeat_with(place).take(number).collect(),
            opened: AtomicU64::new(0),
        }
    }

    /// The connection of a slot, unless it is the one that was `lost`; opened where it is not there.
    /// The second value says whether that was done here.
    pub(in crate::step::http) async fn of_slot(
        &self,
        slot: usize,
        lost: Option<u64>,
    ) -> Result<(SharedLink, bool), Lost> {
        let place = &self.places[slot % self.places.len()];
        if let Some(current) = place.current(lost) {
            return Ok((current, false));
        }
        let _alone = place.opening.lock().await;
        if let Some(current) = place.current(lost) {
            return Ok((current, false));
        }
        let opened = self.open().await?;
        *place.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened.clone());
        Ok((opened, true))
    }

    async fn open(&self) -> Result<SharedLink, Lost> {
        let OpenStreams { sender, driver, seen, counted } = open::<N>(&self.endpoint).await?;
        let drive = Arc::new(Drive::default());
        let over = SaysOver(drive.clone());
        let drives = async move {
            let _held = (counted, over);
            // What it ends with is seen on the way, or told to the streams.
            let _ = driver.await;
        };
        (self.start)(Box::pin(drives)).map_err(Lost::Connect)?;
        let number = self.opened.fetch_add(1, Relaxed) + 1;
        Ok(SharedLink { sender, seen, drive, number })
    }
}

impl<N: Native> LinkPlace<N> {
    fn current(&self, lost: Option<u64>) -> Option<SharedLink> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|link| Some(link.number) != lost && link.is_open()).cloned()
    }
}

impl SharedLink {
    /// Its number among all that the target had.
    pub(in crate::step::http) fn number(&self) -> u64 {
        self.number
    }

    /// Whether another exchange can be made on it, as far as is known.
    pub(in crate::step::http) fn is_open(&self) -> bool {
        !self.drive.is_over.load(Acquire) && !self.seen.is_going()
    }

    /// Sends a request and reads its answer to the end.
    pub(in crate::step::http) async fn exchange(
        &mut self,
        request: Request<Bytes>,
        want: Want<'_>,
    ) -> Result<HttpAnswer, Failed> {
        let answered = ask(&mut self.sender, request, want).await;
        match answered {
            Ok(answer) => Ok(answer),
            Err(broken) => {
                if broken.is_io() {
                    // Streams hear of it before the task that has met it: only then is all seen.
                    self.drive.ended().await;
                }
                Err(broken.failed(&self.seen))
            }
        }
    }
}
