//! Labels that do not collide: pushed apart as little as possible.

/// Places for labels that want to be at `wanted`, at least `gap` apart and within `low..=high`
/// where they fit. Neighbours that collide form a block around the mean of their wishes (pool
/// adjacent violators), so that the sum of squared shifts is least.
pub fn spread(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let count = wanted.len();
    if count == 0 {
        return Vec::new();
    }
    // Where there is no room for all, they move together.
    let gap = gap.min((high - low) / count.max(2).saturating_sub(1) as f64);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut blocks: Vec<Block> = Vec::new();
    for &index in &order {
        blocks.push(Block { sum: wanted[index], count: 1 });
        while let [.., before, last] = blocks.as_slice() {
            if before.start(gap, low, high) + before.length(gap) <= last.start(gap, low, high) {
                break;
            }
            let merged = before.joined(last, gap);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    let mut places = vec![0.0; count];
    let starts = blocks.iter().flat_map(|block| {
        let start = block.start(gap, low, high);
        (0..block.count).map(move |i| start + i as f64 * gap)
    });
    for (&index, place) in order.iter().zip(starts) {
        places[index] = place;
    }
    places
}

/// Labels that touch: `sum` of where their first one would be if each had its wish.
struct Block {
    sum: f64,
    count: usize,
}

impl Block {
    fn length(&self, gap: f64) -> f64 {
        self.count as f64 * gap
    }

    fn start(&self, gap: f64, low: f64, high: f64) -> f64 {
        let last = (self.count - 1) as f64 * gap;
        (self.sum / self.count as f64).min(high - last).max(low)
    }

    fn joined(&self, after: &Self, gap: f64) -> Self {
        let shift = self.length(gap) * after.count as f64;
        Self { sum: self.sum + after.sum - shift, count: self.count + after.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance_and_their_order() {
        for wanted in [
            vec![50.0; 7],
            vec![0.0, 1.0, 2.0, 99.0, 100.0, 98.0],
            vec![30.0, 10.0, 20.0],
            vec![5.0],
        ] {
            let places = spread(&wanted, 14.0, 0.0, 100.0);
            let mut pairs: Vec<(f64, f64)> =
                wanted.iter().copied().zip(places.iter().copied()).collect();
            pairs.sort_by(|a, b| a.1.total_cmp(&b.1));
            assert!(
                pairs.windows(2).all(|p| p[1].1 - p[0].1 >= 14.0 - 1e-9 && p[0].0 <= p[1].0),
                "{pairs:?}"
            );
            assert!(places.iter().all(|y| (0.0..=100.0).contains(y)), "{places:?}");
        }
        assert_eq!(spread(&[10.0, 50.0], 14.0, 0.0, 100.0), [10.0, 50.0], "no shift without need");
    }

    #[test]
    fn too_many_labels_share_the_room() {
        let places = spread(&[1.0; 20], 14.0, 0.0, 100.0);
        assert!(places.iter().all(|y| (-1e-6..=100.0 + 1e-6).contains(y)), "{places:?}");
    }
}
