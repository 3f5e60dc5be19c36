//! The order of trials: round by round, each round visiting every cell once in a seeded random
//! order.
//!
//! Never A A A B B B: a machine that drifts would then decide the race (METHODOLOGY, "Order").

use crate::draw;

/// A trial in the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Index of the cell.
    pub cell: usize,
    /// The round, from 1.
    pub round: u32,
}

/// Orders the trials of cells with the given numbers of rounds.
pub fn order(rounds: &[u32], seed: u64) -> Vec<Planned> {
    let most = rounds.iter().copied().max().unwrap_or(0);
    let mut trials = Vec::new();
    for round in 1..=most {
        let mut cells: Vec<usize> =
            (0..rounds.len()).filter(|&cell| rounds[cell] >= round).collect();
        shuffle(&mut cells, draw::mix(seed, u64::from(round)));
        trials.extend(cells.into_iter().map(|cell| Planned { cell, round }));
    }
    trials
}

/// Fisher and Yates, with draws that are a function of the seed.
fn shuffle(cells: &mut [usize], seed: u64) {
    for last in (1..cells.len()).rev() {
        let other = draw::unit(draw::mix(seed, last as u64)) * (last + 1) as f64;
        cells.swap(last, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_visits_every_cell_once() {
        let trials = order(&[3, 3, 1, 0, 3], 42);
        assert_eq!(trials.len(), 10);
        let mut first: Vec<usize> = trials[..4].iter().map(|trial| trial.cell).collect();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2, 4]);
        assert!(trials.windows(2).all(|pair| pair[0].round <= pair[1].round));
    }

    #[test]
    fn the_seed_decides() {
        let rounds = [5; 20];
        assert_eq!(order(&rounds, 1), order(&rounds, 1));
        assert_ne!(order(&rounds, 1), order(&rounds, 2));
        let round = |number: usize| {
            order(&rounds, 1)[number * 20..][..20].iter().map(|t| t.cell).collect::<Vec<_>>()
        };
        assert_ne!(round(0), round(1));
    }

    #[test]
    fn every_place_is_equally_likely() {
        let mut firsts = [0_u32; 4];
        for seed in 0..4_000 {
            firsts[order(&[1; 4], seed)[0].cell] += 1;
        }
        assert!(firsts.iter().all(|&count| (900..1_100).contains(&count)), "{firsts:?}");
    }
}
