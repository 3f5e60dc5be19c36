//! Signals: the first one ends a run in good order, the second one at once.

use std::sync::{Arc, mpsc::Sender};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
};

use super::CliError;
use crate::{exit::Exit, trial::parent};

/// The first signal ends the run in good order, the second one at once.
pub(super) fn forward(events: Sender<parent::Event>) -> Result<(), CliError> {
    let mut heard = vec![SIGINT, SIGTERM];
    if !ignores_hang_up() {
        heard.push(SIGHUP);
    }
    let signals = Signals::new(heard);
    let mut signals =
        signals.map_err(|source| CliError::System { what: "cannot listen for signals", source })?;
    std::thread::spawn(move || {
        let mut arrived = signals.forever();
        while let Some(signal) = arrived.next() {
            let (name, exit) = match signal {
                SIGTERM => ("SIGTERM", Exit::Terminated),
                SIGHUP => ("SIGHUP", Exit::HungUp),
                _ => ("SIGINT", Exit::Interrupted),
            };
            if events.send(parent::Event::Signal(name)).is_err() || arrived.next().is_some() {
                std::process::exit(i32::from(exit.code()));
            }
        }
    });
    Ok(())
}

/// Whether the hang-up signal was ignored when this program began, as `nohup` does so that a run
/// outlives its terminal.
fn ignores_hang_up() -> bool {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    // Signal 1 is the lowest bit.
    status.is_ok_and(|status| status.sigign & 1 == 1)
}

/// Makes a write beyond `ulimit -f` an error like that of a full disk: unheard, its signal would
/// end this process in the middle of a run, without a word.
pub(super) fn survive_file_limit() {
    // Where the signal cannot be heard, its default remains.
    let _ = flag::register(SIGXFSZ, Arc::default());
}
