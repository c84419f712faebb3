//! Initial weights from a seed: a table look-up by counter-based random numbers, no other arithmetic.

use std::ops::Range;

use super::source::{RowShape, WeightSource};
use crate::random::{Domain, RandomStream, quantiles};
use crate::{Distribution, Error, Graph, ParameterErrorKind, Result};

/// Initial weights of every network under one seed: element e of a parameter's row is
/// `table[lane e % 8 of block e / 8]` of the stream that the parameter's name picks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeded {
    pub(super) seed: u64,
}

impl WeightSource for Seeded {
    fn rows(
        &self,
        name: &str,
        shape: &RowShape,
        distribution: Distribution,
        octets: Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        // Eight output channels are as many blocks as one of them has elements, pads included.
        let per_octet = shape.row_len();
        let block = |octet: usize| octet.checked_mul(per_octet).and_then(|block| u32::try_from(block).ok());
        let (Some(first), Some(end)) = (block(octets.start), block(octets.end)) else {
            return Err(Error::parameter(name, ParameterErrorKind::TooLarge));
        };
        let table = quantiles::table(distribution);
        let stream = RandomStream::new(self.seed, Domain::Weights, name);
        out.reserve(8 * (end.saturating_sub(first)) as usize);
        for b in first..end {
            out.extend_from_slice(&quantiles::pick(table, stream.block(b)));
        }
        Ok(())
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }

    fn scale(&self, standard_deviation: f64) -> f64 {
        standard_deviation
    }

    fn batch_norm(&self, _name: &str, _channels: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        Ok(None)
    }

    fn check(&self, _graph: &Graph) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: RowShape = RowShape { out_channels: 21, in_channels: 11, kernel: [3, 2] };

    fn rows(seed: u64, name: &str, shape: &RowShape, octets: Range<usize>) -> Vec<f32> {
        let mut out = Vec::new();
        Seeded { seed }.rows(name, shape, Distribution::Normal, octets, &mut out).unwrap();
        out
    }

    #[test]
    fn elements_are_table_entries_of_the_counter_and_the_name() {
        let all = rows(5, "stem.0.weight", &SHAPE, 0..3);
        assert_eq!(all.len(), 24 * 3 * 2 * 16);
        let stream = RandomStream::new(5, Domain::Weights, "stem.0.weight");
        let table = quantiles::table(Distribution::Normal);
        for (e, &value) in all.iter().enumerate() {
            let word = stream.block((e / 8) as u32)[e % 8 / 2];
            let lane = if e % 2 == 0 { word & 0xffff } else { word >> 16 };
            assert_eq!(value.to_bits(), u32::from(table[lane as usize]) << 16, "element {e}");
        }
    }

    #[test]
    fn weights_do_not_depend_on_the_octets_that_are_asked_for() {
        let all = rows(0, "a", &SHAPE, 0..3);
        let mut pieces = rows(0, "a", &SHAPE, 0..1);
        Seeded { seed: 0 }.rows("a", &SHAPE, Distribution::Normal, 1..3, &mut pieces).unwrap();
        assert_eq!(pieces, all);
        assert!(rows(0, "a", &SHAPE, 2..2).is_empty());
    }

    #[test]
    fn a_longer_row_extends_a_shorter_one() {
        let longer = RowShape { out_channels: 64, ..SHAPE };
        assert!(rows(0, "a", &longer, 0..8).starts_with(&rows(0, "a", &SHAPE, 0..3)));
    }

    #[test]
    fn seeds_and_names_give_other_weights_of_unit_variance() {
        let shape = RowShape { out_channels: 512, in_channels: 512, kernel: [1, 1] };
        let of = |seed, name| rows(seed, name, &shape, 0..64);
        let correlation = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>() / a.len() as f64
        };
        let (a, b, c) = (of(0, "a"), of(1 << 32, "a"), of(0, "b"));
        assert!((correlation(&a, &a) - 1.0).abs() < 0.01);
        assert!(correlation(&a, &b).abs() < 0.01);
        assert!(correlation(&a, &c).abs() < 0.01);
    }

    #[test]
    fn a_row_beyond_the_counter_is_an_error() {
        let shape = RowShape { out_channels: usize::MAX / 64, in_channels: 8, kernel: [1, 1] };
        let error = Seeded { seed: 0 }
            .rows("a", &shape, Distribution::Normal, 1 << 30..1 << 40, &mut Vec::new())
            .unwrap_err();
        assert_eq!(error.to_string(), "weights: tensor `a` has more than 2^35 weights");
    }
}
