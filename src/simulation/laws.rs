//! Closed forms: what queues and loops of known service must show. Times are in one unit of the
//! caller's choice.
//!
//! Sources: Erlang, "The theory of probabilities and telephone conversations" (1909) for M/D/1, and
//! "Solution of some problems in the theory of probabilities of significance in automatic telephone
//! exchanges" (1917) for the waiting probability C; Kleinrock, *Queueing Systems* I (1975), 3.2 and
//! 5.12 for the times in M/M/1 and M/M/c; Reiser and Lavenberg, "Mean-value analysis of closed
//! multichain queuing networks", JACM 27 (1980) for the closed loop.

/// A queue with Poisson arrivals, first in, first out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queueing {
    /// M/M/c: exponential service with mean `service`.
    Exponential { rate: f64, service: f64, workers: u32 },
    /// M/D/1: every service takes `service`.
    Constant { rate: f64, service: f64 },
}

impl Queueing {
    /// The quantile `p` of the time from arrival to completion.
    pub(super) fn latency_quantile(self, p: f64) -> f64 {
        let service = match self {
            Self::Exponential { service, .. } | Self::Constant { service, .. } => service,
        };
        bisect(0.0, 64.0 * service, |time| self.is_over_by(time) >= p)
    }

    /// The mean of the time from arrival to completion: service, and the mean wait of Erlang and of
    /// Pollaczek and Khinchine.
    pub(super) fn mean_latency(self) -> f64 {
        match self {
            Self::Exponential { rate, service, workers } => {
                let free = f64::from(workers) / service - rate;
                service + erlang_c(rate * service, workers) / free
            }
            Self::Constant { rate, service } => {
                let utilisation = rate * service;
                service + service * utilisation / (2.0 * (1.0 - utilisation))
            }
        }
    }

    /// P(latency ≤ time).
    fn is_over_by(self, time: f64) -> f64 {
        match self {
            Self::Exponential { rate, service, workers } => {
                let (mu, theta) = (1.0 / service, f64::from(workers) / service - rate);
                let waits = erlang_c(rate * service, workers);
                let serving = (-mu * time).exp();
                // Exponential service alone, or after a wait that is exponential with θ: the sum of
                // the two.
                let after_wait = (theta * serving - mu * (-theta * time).exp()) / (theta - mu);
                1.0 - (1.0 - waits) * serving - waits * after_wait
            }
            Self::Constant { rate, service } => constant_wait(time - service, rate, service),
        }
    }
}

/// P(an arrival waits) in M/M/c at an offered load of `erlangs`: Erlang's C.
fn erlang_c(erlangs: f64, workers: u32) -> f64 {
    // aᵏ/k! for k = 0, 1, …
    let terms = (1..=workers).scan(1.0, |term, k| {
        *term *= erlangs / f64::from(k);
        Some(*term)
    });
    let terms: Vec<f64> = std::iter::once(1.0).chain(terms).collect();
    let (last, free) = terms.split_last().expect("at least the term of k = 0");
    let queued = last * f64::from(workers) / (f64::from(workers) - erlangs);
    queued / (free.iter().sum::<f64>() + queued)
}

/// The share of Poisson arrivals that find `room` tasks in a system of so many workers and are
/// lost: M/M/c/K, and Erlang's B where there is room at the workers only, which holds for any
/// distribution of the service.
pub(super) fn lost_share(erlangs: f64, workers: u64, room: u64) -> f64 {
    // The odds of n tasks against none.
    let odds = (1..=room).scan(1.0, |odds, n| {
        *odds *= erlangs / n.min(workers) as f64;
        Some(*odds)
    });
    let odds: Vec<f64> = odds.collect();
    odds.last().copied().unwrap_or(1.0) / (1.0 + odds.iter().sum::<f64>())
}

/// P(wait ≤ time) in M/D/1: (1 − ρ) Σ (−λ(t − ks))ᵏ/k! · e^{λ(t − ks)}, k = 0 … ⌊t/s⌋. The terms
/// alternate, so this is good for waits of some twenty services.
fn constant_wait(time: f64, rate: f64, service: f64) -> f64 {
    if time < 0.0 {
        return 0.0;
    }
    let term = |k: u32| {
        let x = rate * (time - f64::from(k) * service);
        (1..=k).fold(x.exp(), |term, i| term * -x / f64::from(i))
    };
    (1.0 - rate * service) * (0..=(time / service) as u32).map(term).sum::<f64>()
}

/// The least argument for which a monotone condition holds.
fn bisect(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let halve = |(low, high), _| {
        let middle = f64::midpoint(low, high);
        if holds(middle) { (low, middle) } else { (middle, high) }
    };
    (0..100).fold((low, high), halve).1
}

/// A server with `workers` workers that stops for `length` every `every`, under constant arrivals.
///
/// An arrival in phase u of a stall waits for its end and for the queue before it: length − (1 −
/// ρ)·u, until the queue is empty at u = length/(1 − ρ). So waits are uniform among the share that
/// waits at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stall {
    pub(super) rate: f64,
    pub(super) service: f64,
    pub(super) workers: u32,
    pub(super) every: f64,
    pub(super) length: f64,
}

impl Stall {
    fn free(&self) -> f64 {
        1.0 - self.rate * self.service / f64::from(self.workers)
    }

    /// The share of arrivals that wait.
    pub(super) fn share(&self) -> f64 {
        self.length / (self.free() * self.every)
    }

    /// The quantile `p` of the latency.
    pub(super) fn latency_quantile(&self, p: f64) -> f64 {
        if p <= 1.0 - self.share() {
            return self.service;
        }
        self.longest() - (1.0 - p) * self.every * self.free()
    }

    /// Its mean.
    pub(super) fn mean_latency(&self) -> f64 {
        self.service + self.length * self.length / (2.0 * self.every * self.free())
    }

    /// Its maximum.
    pub(super) fn longest(&self) -> f64 {
        self.service + self.length
    }
}

/// A closed loop: clients that wait for their answer, pause for `think`, and call again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loop {
    pub(super) clients: u32,
    pub(super) think: f64,
    pub(super) service: f64,
    pub(super) workers: u32,
}

impl Loop {
    /// Completions per time where every service takes as long: what the clients ask for or what the
    /// workers can do.
    pub(super) fn constant_throughput(&self) -> f64 {
        let asked = f64::from(self.clients) / (self.service + self.think);
        asked.min(f64::from(self.workers) / self.service)
    }

    /// The mean latency that belongs to a throughput: Little's law.
    pub(super) fn latency_at(&self, throughput: f64) -> f64 {
        f64::from(self.clients) / throughput - self.think
    }

    /// Completions per time of one worker with exponential service: mean-value analysis. A new
    /// arrival finds the queue that a loop with one client less has on average.
    pub(super) fn exponential_throughput(&self) -> f64 {
        assert_eq!(self.workers, 1, "the recursion is that of one worker");
        let add_client = |(_, queue): (f64, f64), client: u32| {
            let latency = self.service * (1.0 + queue);
            let throughput = f64::from(client) / (latency + self.think);
            (throughput, throughput * latency)
        };
        (1..=self.clients).fold((0.0, 0.0), add_client).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are(found: [f64; 3], expected: [f64; 3]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() <= 0.005_001, "{found} is not {expected}");
        }
    }

    fn quantiles(queue: Queueing) -> [f64; 3] {
        [0.5, 0.9, 0.99].map(|p| queue.latency_quantile(p))
    }

    /// Figures of an independent program with 80 decimal digits, which a simulation of a million
    /// arrivals agreed with.
    #[test]
    fn quantiles_of_queues_are_the_known_ones() {
        let exponential = |service, workers| Queueing::Exponential { rate: 0.7, service, workers };
        are(quantiles(exponential(1.0, 1)), [2.31, 7.68, 15.35]);
        are(quantiles(exponential(4.0, 4)), [4.11, 11.91, 21.97]);
        are(quantiles(Queueing::Constant { rate: 0.7, service: 1.0 }), [1.73, 4.08, 7.49]);
    }

    /// −ln(1 − p)/(μ − λ), which M/M/c must become at one worker.
    #[test]
    fn one_exponential_worker_is_exponential() {
        let queue = Queueing::Exponential { rate: 0.5, service: 1.0, workers: 1 };
        are(quantiles(queue), [0.5_f64, 0.9, 0.99].map(|p| -(1.0 - p).ln() / 0.5));
        assert!((queue.mean_latency() - 2.0).abs() < 1e-12);
    }

    /// The mean is the integral of the quantiles.
    #[test]
    fn means_belong_to_the_quantiles() {
        let queues = [
            Queueing::Exponential { rate: 0.7, service: 4.0, workers: 4 },
            Queueing::Constant { rate: 0.7, service: 1.0 },
        ];
        for queue in queues {
            let steps = 2_000;
            let middle = |k| queue.latency_quantile((f64::from(k) + 0.5) / f64::from(steps));
            let mean = (0..steps).map(middle).sum::<f64>() / f64::from(steps);
            assert!((mean / queue.mean_latency() - 1.0).abs() < 1e-3, "{queue:?}: {mean}");
        }
    }

    /// The figures of METHODOLOGY, in ms.
    #[test]
    fn a_stall_of_a_tenth_of_the_time_is_in_a_ninth_of_the_arrivals() {
        let stall = Stall { rate: 1.0, service: 0.1, workers: 1, every: 1_000.0, length: 100.0 };
        are([0.5, 0.9, 0.99].map(|p| stall.latency_quantile(p)), [0.1, 10.1, 91.1]);
        are(
            [stall.latency_quantile(0.999), stall.longest(), stall.mean_latency()],
            [99.2, 100.1, 5.656],
        );
        assert!((stall.share() - 1.0 / 9.0).abs() < 1e-12);
    }

    /// (1 − ρ)ρᴷ/(1 − ρᴷ⁺¹) for one worker, and a table's value of Erlang's B.
    #[test]
    fn shares_that_are_lost_are_the_known_ones() {
        let rho: f64 = 0.7;
        assert!(
            (lost_share(rho, 1, 5) - (1.0 - rho) * rho.powi(5) / (1.0 - rho.powi(6))).abs() < 1e-12
        );
        assert!((lost_share(2.0, 4, 4) - 2.0 / 21.0).abs() < 1e-12);
    }

    #[test]
    fn loops_are_limited_by_clients_or_workers() {
        let of = |clients, think, workers| Loop { clients, think, service: 1.0, workers };
        assert!((of(3, 2.0, 1).constant_throughput() - 1.0).abs() < 1e-12);
        assert!((of(3, 5.0, 1).constant_throughput() - 0.5).abs() < 1e-12);
        assert!((of(9, 0.0, 4).latency_at(4.0) - 2.25).abs() < 1e-12);
        assert!((of(1, 3.0, 1).exponential_throughput() - 0.25).abs() < 1e-12);
        // Two clients without a pause keep the worker busy.
        assert!((of(2, 0.0, 1).exponential_throughput() - 1.0).abs() < 1e-12);
    }
}
