//! One direction of a stream: a buffer, and the operation that has it for as long as it runs.
//!
//! An operation that was begun is not lost when nobody polls it: what it has read is in the buffer
//! when somebody looks again. It belongs to the thread that has begun it. Where the stream is used
//! on another one, its home waits for the operation, and sends what came of it.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use ::compio::{
    buf::{BufResult, IntoInner},
    driver::OpCode,
    runtime::{Runtime as CompioRuntime, Submit},
};
use compio_send_wrapper::SendWrapper;
use tokio::sync::oneshot;

use super::home::RingHome;

/// What came of an operation, and its buffer.
type Landed = (io::Result<usize>, Vec<u8>);

/// One direction of a stream.
pub(super) enum RingSide<T: OpCode + 'static> {
    /// No operation is under way.
    Idle(Vec<u8>),
    /// The kernel has the buffer; the operation belongs to this thread.
    Submitted(SendWrapper<Submit<T>>),
    /// The home of the operation waits for it.
    Lent(oneshot::Receiver<Landed>),
}

impl<T: OpCode + IntoInner<Inner = Vec<u8>> + 'static> RingSide<T> {
    /// Begins an operation with the buffer, which is at hand. It is in the ring's queue then, and
    /// whoever is called by the context learns of its end.
    pub(super) fn begin(
        &mut self,
        operation: impl FnOnce(Vec<u8>) -> T,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Self::Idle(buffer) = self else {
            unreachable!("an operation begins when the one before it has ended");
        };
        let operation = operation(std::mem::take(buffer));
        let begun = CompioRuntime::try_with_current(|runtime| runtime.submit(operation));
        let Ok(submitted) = begun else {
            return Poll::Ready(Err(io::Error::other(
                "a stream of compio was used outside of its executor",
            )));
        };
        *self = Self::Submitted(SendWrapper::new(submitted));
        self.poll_landed(context)
    }

    /// Waits for the operation, if one is under way; none: the buffer is at hand. Afterwards it is.
    pub(super) fn poll_landed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (ended, buffer) = match self {
            Self::Idle(_) => return Poll::Ready(Ok(0)),
            Self::Submitted(submitted) => match Pin::new(submitted).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(BufResult(ended, operation)) => (ended, operation.into_inner()),
            },
            Self::Lent(landing) => match Pin::new(landing).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(landed)) => landed,
                Poll::Ready(Err(_)) => (Err(io::Error::other(GONE)), Vec::new()),
            },
        };
        *self = Self::Idle(buffer);
        Poll::Ready(ended)
    }

    /// Whether no operation is under way.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle(_))
    }

    /// The stream is used elsewhere from now on: its home waits for what is under way.
    pub(super) fn lend(&mut self, home: &RingHome) {
        let Self::Submitted(_) = self else { return };
        let (land, landing) = oneshot::channel();
        let Self::Submitted(submitted) = std::mem::replace(self, Self::Lent(landing)) else {
            unreachable!("it was under way a moment ago");
        };
        home.household.note_lent();
        let errand = move || {
            let submitted = submitted.take();
            let waiting = async move {
                let BufResult(ended, operation) = submitted.await;
                // Nobody wants it any more where the stream was dropped.
                let _ = land.send((ended, operation.into_inner()));
            };
            ::compio::runtime::spawn(waiting).detach();
        };
        if let Err(errand) = home.run(Box::new(errand)) {
            // Its thread has ended, and nobody may touch the operation any more.
            std::mem::forget(errand);
        }
    }
}

/// Why an operation can have come to nothing.
const GONE: &str = "the thread that had begun this operation of compio has ended";
