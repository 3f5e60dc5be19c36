//! `sequential`: one thread, one task after another; what everything else is compared with.

use std::{
    future::{Future, Ready, ready},
    io,
};

use super::{
    ExecutorInfo, Facts, Runtime, Setup, Style,
    blocking::{self, Blocking},
};

/// Runs each task to its end where it is started.
#[derive(Clone)]
pub struct Sequential;

impl Runtime for Sequential {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "sequential",
        doc: "One thread, one task after another.",
        style: Style::Serial,
    };

    type Native = Blocking;
    type Join<T: Send + 'static> = Ready<T>;

    fn start(_: &Setup) -> io::Result<Self> {
        Ok(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        blocking::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<Ready<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(ready(blocking::block_on(future)))
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        blocking::block_on(future);
        Ok(())
    }

    fn facts(&self) -> Facts {
        Facts::from([
            ("threads for tasks".into(), "1".into()),
            ("blocking work".into(), "inline".into()),
            ("stream".into(), "blocking socket".into()),
            ("timer".into(), "the kernel's: nanosleep and time-outs of sockets".into()),
        ])
    }
}
