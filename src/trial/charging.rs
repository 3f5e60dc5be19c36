//! Whom this kernel charges with interrupts and their deferred work: the process that runs, or
//! nobody.
//!
//! A loopback connection does a fifth to a third of its work there. A kernel that keeps its time
//! apart (CONFIG_IRQ_TIME_ACCOUNTING) does not count it as CPU time of any process, and one that
//! does not keep it apart counts it as time of whoever runs. What others used is the busy time
//! without our own, so that we must know which.
//!
//! The probe keeps this thread busy, once with datagrams to itself and once with nothing. It never
//! sleeps: its wall time without the time that it waited for a CPU is the time that it was on one.
//! CPU time that is charged is all of that, or lacks the interrupts. Who else uses the CPU does not
//! matter.

use std::{hint::black_box, io, net::UdpSocket};

use crate::{clock, measure};

/// CPU time of a burst, in ns.
const BURST_NS: u64 = 2_000_000;
/// Each kind of burst is done so often, in turns.
const BURSTS: usize = 3;
/// Datagrams lack at least this share of their time where interrupts are kept apart.
const LACKING: f64 = 0.05;

/// Time on a CPU, and how much of it this thread was charged with, in ns.
#[derive(Debug, Clone, Copy, Default)]
struct Burst {
    on_cpu_ns: u64,
    charged_ns: u64,
}

/// Whether interrupts are charged to the process that they interrupt. Where that cannot be found
/// out, false: what others used is then rather seen too small than too large.
pub(super) fn to_processes() -> bool {
    probe().is_ok_and(|[plain, traffic]| are_charged(plain, traffic))
}

fn are_charged(plain: Burst, traffic: Burst) -> bool {
    let share = |burst: Burst| burst.charged_ns as f64 / burst.on_cpu_ns.max(1) as f64;
    share(traffic) > share(plain) - LACKING
}

fn probe() -> io::Result<[Burst; 2]> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(socket.local_addr()?)?;
    socket.set_nonblocking(true)?;
    let payload = [0_u8; 1024];
    let mut received = [0_u8; 1024];
    let mut sums = [Burst::default(); 2];
    for _ in 0..BURSTS {
        add(&mut sums[0], || {
            black_box((0..500_u32).fold(0, |sum, n| black_box(sum + n)));
        })?;
        add(&mut sums[1], || {
            // A datagram that is lost is sent all the same.
            let _ = socket.send(&payload);
            let _ = socket.recv(&mut received);
        })?;
    }
    Ok(sums)
}

/// Adds a burst of some work.
fn add(sum: &mut Burst, mut work: impl FnMut()) -> io::Result<()> {
    let (waited_ns, cpu_ns, wall_ns) =
        (measure::thread_waited_ns()?, clock::thread_cpu_ns(), clock::now_ns());
    while clock::thread_cpu_ns() - cpu_ns < BURST_NS {
        work();
    }
    let (wall_ns, charged_ns) = (clock::now_ns() - wall_ns, clock::thread_cpu_ns() - cpu_ns);
    sum.on_cpu_ns += wall_ns.saturating_sub(measure::thread_waited_ns()? - waited_ns);
    sum.charged_ns += charged_ns;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(on_cpu_us: u64, charged_us: u64) -> Burst {
        Burst { on_cpu_ns: on_cpu_us * 1000, charged_ns: charged_us * 1000 }
    }

    #[test]
    fn traffic_that_lacks_time_is_charged_to_nobody() {
        assert!(are_charged(burst(6_000, 6_000), burst(6_100, 6_000)));
        assert!(!are_charged(burst(6_000, 6_000), burst(9_000, 6_000)));
        // A hypervisor that takes a tenth takes it from both.
        assert!(are_charged(burst(6_600, 6_000), burst(6_600, 5_900)));
        assert!(!are_charged(burst(6_600, 6_000), burst(9_000, 6_000)));
    }

    /// What it finds is a measurement, which a busy host can upset; that it does all of its work is
    /// not.
    #[test]
    fn the_probe_does_all_of_its_bursts() {
        let Ok([plain, traffic]) = probe() else { return };
        assert!(
            plain.charged_ns >= BURSTS as u64 * BURST_NS
                && traffic.charged_ns >= BURSTS as u64 * BURST_NS
        );
    }
}
