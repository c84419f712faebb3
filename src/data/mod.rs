//! Batches of images, and where they come from.

mod batch;
mod dataset;
mod formats;
mod layout;
mod normalization;
pub(crate) mod npy;
mod pickle;
mod synthetic;

pub use batch::Batch;
pub use dataset::Dataset;
pub use normalization::Normalization;
pub use npy::NumpyArray;

use crate::random::{Domain, Rng};

/// Draws n of so many positions without replacement, in the order drawn, so that a smaller draw is the
/// beginning of a larger one. `n` is at most `total`.
fn draw(total: u32, n: usize, seed: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed, Domain::Sampling, "images");
    let mut positions: Vec<usize> = (0..total as usize).collect();
    for (i, left) in (1..=total).rev().enumerate().take(n) {
        positions.swap(i, i + rng.below(left) as usize);
    }
    positions.truncate(n);
    positions
}

/// The message for an impossible number of images; none for a possible one.
fn too_few(total: usize, n: usize) -> Option<String> {
    match n {
        0 => Some("no images were asked for".to_owned()),
        n if n > total => Some(format!("{n} images were asked for, and there are {total}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_no_repeats_and_begins_larger_ones() {
        let all = draw(100, 100, 3);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert!(all.starts_with(&draw(100, 7, 3)));
        assert_ne!(all, draw(100, 100, 4));
    }
}
