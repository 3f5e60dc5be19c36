//! A connection of one's own: the call that waits for the answer drives it, as over HTTP/1.1, so
//! that it goes under every executor.
//!
//! It outlives a call that is given up, whose stream alone is reset: the slot's next call finds it
//! where it was.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::Request;

use super::{
    super::{
        answer::{HttpAnswer, Want},
        failed::Failed,
        lost::Lost,
    },
    exchange::ask,
    fault::BrokenStream,
    open::{OpenStreams, StreamsDriver, open},
};
use crate::{
    client::SeenFrames,
    runtime::Native,
    targets::{Opened, http::HttpEndpoint},
};

/// A connection, and what drives it.
struct OwnStreams<N: Native> {
    sender: SendRequest<Bytes>,
    /// None when it has ended: nobody must wait for it any more.
    driver: Option<StreamsDriver<N>>,
    seen: Arc<SeenFrames>,
    _counted: Opened,
}

/// Where a slot's connection is between calls, and after one that was given up. Never contended:
/// one call of a slot's step runs at a time.
pub(in crate::step::http) struct Home<N: Native>(Arc<Mutex<Option<Box<OwnStreams<N>>>>>);

impl<N: Native> Clone for Home<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N: Native> Home<N> {
    /// One with no connection.
    pub(in crate::step::http) fn new() -> Self {
        Self(Arc::default())
    }

    /// The connection that is there.
    pub(in crate::step::http) fn take(&self) -> Option<OwnLink<N>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(OwnLink { streams: Some(kept), home: Some(self.clone()) })
    }
}

/// A connection that goes home when it is dropped, unless it has ended or has no home.
pub(in crate::step::http) struct OwnLink<N: Native> {
    /// Taken only when this is dropped.
    streams: Option<Box<OwnStreams<N>>>,
    home: Option<Home<N>>,
}

impl<N: Native> Drop for OwnLink<N> {
    fn drop(&mut self) {
        let (is_open, streams) = (self.is_open(), self.streams.take());
        if let (true, Some(Home(home))) = (is_open, &self.home) {
            *home.lock().unwrap_or_else(PoisonError::into_inner) = streams;
        }
    }
}

impl<N: Native> OwnLink<N> {
    /// Connects.
    pub(in crate::step::http) async fn open(
        endpoint: &HttpEndpoint,
        home: Option<&Home<N>>,
    ) -> Result<Self, Lost> {
        let OpenStreams { sender, driver, seen, counted } = open::<N>(endpoint).await?;
        let streams = OwnStreams { sender, driver: Some(driver), seen, _counted: counted };
        Ok(Self { streams: Some(Box::new(streams)), home: home.cloned() })
    }

    /// Whether another exchange can be made on it, as far as is known.
    pub(in crate::step::http) fn is_open(&self) -> bool {
        let is_open =
            |streams: &OwnStreams<N>| streams.driver.is_some() && !streams.seen.is_going();
        self.streams.as_deref().is_some_and(is_open)
    }

    /// Looks whether the server has closed it, without waiting.
    pub(in crate::step::http) fn has_ended(&mut self) -> bool {
        if let Some(OwnStreams { driver, .. }) = self.streams.as_deref_mut() {
            // Streams that do not block see it whenever they are polled; the call polls again and
            // is woken by that.
            let mut context = Context::from_waker(Waker::noop());
            let ended = driver.as_mut().is_some_and(|driver| {
                N::look(|| Pin::new(&mut *driver).poll(&mut context)).is_ready()
            });
            if ended {
                *driver = None;
            }
        }
        !self.is_open()
    }

    /// Sends a request and reads its answer to the end. An answer that has arrived counts, whatever
    /// becomes of the connection afterwards.
    pub(in crate::step::http) async fn exchange(
        &mut self,
        request: Request<Bytes>,
        want: Want<'_>,
    ) -> Result<HttpAnswer, Failed> {
        let Some(streams) = self.streams.as_deref_mut() else {
            unreachable!("it is taken only when this is dropped")
        };
        N::begin();
        let OwnStreams { sender, driver, seen, .. } = streams;
        let mut answer = pin!(ask(sender, request, want));
        let answered = poll_fn(|context| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            if let Some(running) = driver
                && Pin::new(running).poll(context).is_ready()
            {
                *driver = None;
            }
            match answer.as_mut().poll(context) {
                Poll::Pending if driver.is_none() => {
                    Poll::Ready(Err(BrokenStream::Sent(h2::Reason::NO_ERROR.into())))
                }
                polled => polled,
            }
        })
        .await;
        answered.map_err(|broken| {
            // The library's connection cannot be used after its own errors.
            if !broken.is_of_stream() {
                *driver = None;
            }
            broken.failed(seen)
        })
    }
}
