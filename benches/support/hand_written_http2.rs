//! The hand-written loop over HTTP/2: the crate h2 on the executor's own stream, with the windows
//! that Regatta's client has.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use xxhash_rust::xxh3::xxh3_64;

use crate::hand_written::Work;

/// What drives a connection.
type Driver<S> = Connection<TokioIo<S>, Bytes>;

/// A connection, or a share of one.
pub struct Streams<S: hyper::rt::Read + hyper::rt::Write + Unpin> {
    sender: SendRequest<Bytes>,
    /// None: a task of its own drives it.
    driver: Option<Driver<S>>,
}

impl<S: hyper::rt::Read + hyper::rt::Write + Unpin> Streams<S> {
    pub async fn open(stream: S) -> Self {
        let greeted = Builder::new()
            .enable_push(false)
            .initial_window_size(2 << 20)
            .initial_connection_window_size(5 << 20)
            .handshake(TokioIo::new(stream));
        let (sender, driver) = greeted.await.unwrap();
        Self { sender, driver: Some(driver) }
    }

    /// The driver, for a task of its own.
    pub fn take_driver(&mut self) -> Driver<S> {
        self.driver.take().unwrap()
    }

    /// Another share of the same connection.
    pub fn beside(&self) -> Self {
        Self { sender: self.sender.clone(), driver: None }
    }

    pub async fn get(&mut self, id: u64, work: &Work) {
        let Self { sender, driver } = self;
        let exchange = async {
            poll_fn(|context| sender.poll_ready(context)).await.unwrap();
            let (response, _) = sender.send_request(work.request_on_stream(id), true).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let mut all = Vec::new();
            let mut first = Bytes::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                // A body usually comes in one piece.
                if first.is_empty() { first = data } else { all.extend_from_slice(&data) }
            }
            if all.is_empty() {
                assert_eq!((first.len(), xxh3_64(&first)), work.body);
            } else {
                let whole = [&first[..], &all].concat();
                assert_eq!((whole.len(), xxh3_64(&whole)), work.body);
            }
        };
        let mut exchange = pin!(exchange);
        poll_fn(|context| {
            if exchange.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let Some(driver) = driver else { return Poll::Pending };
            let polled = Pin::new(driver).poll(context);
            assert!(polled.is_pending(), "the server has closed the connection");
            exchange.as_mut().poll(context)
        })
        .await;
    }
}
