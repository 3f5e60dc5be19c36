//! One connection of HTTP/1.1 and one exchange at a time on it, the same for every executor.
//!
//! The connection is polled by the task that waits for the answer, so that no helper task differs
//! between executors: what a spawned driver costs is a property of the executor, and nobody asked
//! for one.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
};

use super::{
    answer::{ArrivingAnswer, HttpAnswer, Want},
    failed::{Failed, Reached},
    lost::{Lost, MOST_FIELDS},
};
use crate::{
    client::Transport,
    runtime::Native,
    targets::{Opened, http::HttpEndpoint},
    units::Size,
};

/// Whether a peer that has closed the connection is what is behind an error.
fn is_closed(error: &hyper::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        if let Some(io) = next.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
            );
        }
        cause = next.source();
    }
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}

/// An HTTP/1.1 connection.
pub(super) struct Connection<N: Native> {
    sender: SendRequest<Full<Bytes>>,
    /// None when it has ended: nobody must wait for it any more.
    driver: Option<http1::Connection<Transport<N::Conn>, Full<Bytes>>>,
    _counted: Opened,
}

impl<N: Native> Connection<N> {
    /// Connects. Boxed, because a connection is moved into each call and back: a kilobyte that
    /// would be copied twice.
    pub(super) async fn open(
        endpoint: &HttpEndpoint,
        chunk: Option<Size>,
    ) -> Result<Box<Self>, Lost> {
        let attempt = endpoint.connections.attempt();
        let connected = N::connect(endpoint.address).await;
        let stream = match connected {
            Ok(stream) => stream,
            Err(why) => {
                attempt.failed();
                return Err(Lost::Connect(why));
            }
        };
        // An attempt that ends here was given up: the server may have seen it.
        let stream = match &endpoint.tls {
            Some(https) => https.encrypt(stream).await.map_err(Lost::Handshake)?,
            None => Transport::Plain(stream),
        };
        let counted = attempt.succeeded();
        let mut builder = http1::Builder::new();
        if endpoint.embedded.is_none() {
            // A server of the user's own may send more fields than the 100 that hyper has room for
            // without asking for memory, and may fold them: RFC 9112, section 5.2.
            builder.max_headers(MOST_FIELDS).allow_obsolete_multiline_headers_in_responses(true);
        }
        if let Some(Size(bytes)) = chunk {
            builder.read_buf_exact_size(Some(bytes as usize));
        }
        let (sender, driver) = builder.handshake(stream).await?;
        Ok(Box::new(Self { sender, driver: Some(driver), _counted: counted }))
    }

    /// Whether another exchange can be made on it, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Looks whether the peer has closed it, without waiting. Only where streams do not see that by
    /// themselves before they write: otherwise an exchange does
    /// ([`Io::look`](crate::runtime::Io::look)).
    pub(super) fn has_ended(&mut self) -> bool {
        if let Some(driver) = &mut self.driver {
            let look = || Pin::new(driver).poll(&mut Context::from_waker(Waker::noop()));
            if N::look(look).is_ready() {
                self.driver = None;
            }
        }
        self.driver.is_none()
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// The answer is looked at first: one that has arrived counts, whatever becomes of the
    /// connection afterwards. A driver that has ended is dropped, which fails whatever still waits
    /// for it.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Bytes>,
        want: Want<'_>,
    ) -> Result<HttpAnswer, Failed> {
        let Self { sender, driver, .. } = self;
        N::begin();
        let mut answer = pin!(ask(sender, request.map(Full::new), want));
        let mut end = DriverEnd::default();
        let answered = poll_fn(|context| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            if let Some(running) = driver
                && let Poll::Ready(ended) = Pin::new(running).poll(context)
            {
                end.why = ended.err();
                end.unread = unread(driver);
            }
            match answer.as_mut().poll(context) {
                Poll::Pending if driver.is_none() => Poll::Ready(Err(BrokenExchange::Silent)),
                polled => polled,
            }
        })
        .await;
        answered.map_err(|broken| {
            if driver.is_some() {
                end.unread = unread(driver);
            }
            end.failed(broken)
        })
    }
}

/// Ends a driver, and says what it has received and not understood.
fn unread<C: hyper::rt::Read + hyper::rt::Write + Unpin>(
    driver: &mut Option<http1::Connection<C, Full<Bytes>>>,
) -> Bytes {
    driver.take().map(|driver| driver.into_parts().read_buf).unwrap_or_default()
}

/// What is known of a driver that has ended.
#[derive(Default)]
struct DriverEnd {
    why: Option<hyper::Error>,
    /// What was read of an answer, and was no whole head.
    unread: Bytes,
}

impl DriverEnd {
    /// Why an exchange did not end well, and how far it had come.
    fn failed(self, broken: BrokenExchange) -> Failed {
        let Self { why: ended, unread } = self;
        let (why, reached) = match broken {
            // What the driver says is the cause; that a request was given back follows from it.
            BrokenExchange::Unsent(why) => (Lost::Head(ended.unwrap_or(why)), Reached::Nowhere),
            BrokenExchange::Sent(why) if unread.is_empty() && is_closed(&why) => {
                (Lost::Head(why), Reached::Unanswered)
            }
            BrokenExchange::Sent(why) => (Lost::Head(why), Reached::Answered),
            BrokenExchange::Body(why, received) => (Lost::Body(why, received), Reached::Answered),
            BrokenExchange::Silent => (ended.map_or(Lost::Silent, Lost::Head), Reached::Answered),
        };
        Failed { why, unread, reached }
    }
}

/// Where an exchange has broken.
enum BrokenExchange {
    /// The request was not sent.
    Unsent(hyper::Error),
    /// It was, or a part of it.
    Sent(hyper::Error),
    /// The answer's body did not come whole: so many bytes of it.
    Body(hyper::Error, u64),
    /// The connection has ended without a word.
    Silent,
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    want: Want<'_>,
) -> Result<HttpAnswer, BrokenExchange> {
    sender.ready().await.map_err(BrokenExchange::Unsent)?;
    let response =
        sender.try_send_request(request).await.map_err(|failed| match failed.message() {
            Some(_) => BrokenExchange::Unsent(failed.into_error()),
            None => BrokenExchange::Sent(failed.into_error()),
        })?;
    let (head, mut body) = response.into_parts();
    let mut arriving = ArrivingAnswer::new(&head, want);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| BrokenExchange::Body(why, arriving.bytes()))?;
        if let Ok(data) = frame.into_data() {
            arriving.add(data);
        }
    }
    Ok(arriving.end())
}
