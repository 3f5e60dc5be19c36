//! A request on a stream of its own, and its answer read to the end. Who drives the connection
//! meanwhile is somebody else's business.
//!
//! What is dropped before its end resets the stream, and nothing else.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use hyper::{Request, http::response};

use super::{
    super::answer::{ArrivingAnswer, HttpAnswer, Want},
    fault::BrokenStream,
};

/// Asks, and reads the answer.
pub(super) async fn ask(
    sender: &mut SendRequest<Bytes>,
    request: Request<Bytes>,
    want: Want<'_>,
) -> Result<HttpAnswer, BrokenStream> {
    poll_fn(|context| sender.poll_ready(context)).await.map_err(BrokenStream::Unsent)?;
    let (head, body) = request.into_parts();
    let is_whole = body.is_empty();
    let sent = sender.send_request(Request::from_parts(head, ()), is_whole);
    let (mut response, stream) = sent.map_err(BrokenStream::Unsent)?;
    let mut upload = (!is_whole).then_some(Upload { stream, body });
    let answered = poll_fn(|context| poll_answer(&mut response, &mut upload, context)).await;
    let (head, body) = answered.map_err(BrokenStream::Sent)?;
    read(&head, body, want).await
}

/// Sends as much of the body as there is room for, and looks whether there is an answer: one may
/// come before all of the body has gone.
fn poll_answer(
    response: &mut ResponseFuture,
    upload: &mut Option<Upload>,
    context: &mut Context<'_>,
) -> Poll<Result<(response::Parts, RecvStream), h2::Error>> {
    // If sending fails, the answer says why.
    if upload.as_mut().is_some_and(|upload| upload.poll(context).is_ready()) {
        *upload = None;
    }
    Pin::new(response).poll(context).map_ok(hyper::Response::into_parts)
}

/// A body that is sent.
struct Upload {
    stream: SendStream<Bytes>,
    body: Bytes,
}

impl Upload {
    /// Ready when all is given to the connection, or nobody takes any more.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.body.is_empty() {
            self.stream.reserve_capacity(self.body.len());
            let Poll::Ready(room) = self.stream.poll_capacity(context) else {
                return Poll::Pending;
            };
            let Some(Ok(room)) = room else { return Poll::Ready(()) };
            let piece = self.body.split_to(room.min(self.body.len()));
            if self.stream.send_data(piece, self.body.is_empty()).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }
}

/// Reads a body, and makes room for more with each piece.
async fn read(
    head: &response::Parts,
    mut body: RecvStream,
    want: Want<'_>,
) -> Result<HttpAnswer, BrokenStream> {
    let mut arriving = ArrivingAnswer::new(head, want);
    while let Some(data) = body.data().await {
        let data = data.map_err(|why| BrokenStream::Body(why, arriving.bytes()))?;
        // It cannot be more than what came.
        let _ = body.flow_control().release_capacity(data.len());
        arriving.add(data);
    }
    Ok(arriving.end())
}
