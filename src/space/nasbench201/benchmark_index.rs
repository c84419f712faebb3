//! The benchmark's own numbers of its cells, by which it stores results. NATS-Bench has the same; their order is not that
//! of any enumeration.

use super::enumerate::COUNT;
use super::{Cell, Op};

/// The position in [`all`](super::all) of each cell of the benchmark, by its number: two bytes each, the lower one first.
const ORDER: &[u8; 2 * COUNT] = include_bytes!("benchmark_order.bin");

impl Cell {
    /// The cell that has a number in the benchmark; none from 15,625 on.
    ///
    /// ```
    /// use naswot::nasbench201::Cell;
    ///
    /// let cell = Cell::of_benchmark_index(2).unwrap();
    /// assert_eq!(
    ///     cell.to_string(),
    ///     "|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|"
    /// );
    /// ```
    pub fn of_benchmark_index(index: usize) -> Option<Self> {
        let (positions, _) = ORDER.as_chunks::<2>();
        positions.get(index).map(|&position| Cell::at(u16::from_le_bytes(position).into()))
    }

    /// The cell's number in the benchmark.
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, Op};
    ///
    /// let index = Cell::new([Op::NorConv3x3; 6]).benchmark_index();
    /// assert_eq!(Cell::of_benchmark_index(index).unwrap().ops(), [Op::NorConv3x3; 6]);
    /// ```
    pub fn benchmark_index(&self) -> usize {
        let position = self.ops.iter().fold(0, |position, &op| position * Op::ALL.len() as u16 + op as u16);
        let (positions, _) = ORDER.as_chunks::<2>();
        let index = positions.iter().position(|&other| u16::from_le_bytes(other) == position);
        index.unwrap_or_else(|| unreachable!("the benchmark numbers every cell, and so {self}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nasbench201::all;

    #[test]
    fn the_order_is_a_permutation() {
        let mut cells: Vec<Cell> = (0..COUNT).map(|index| Cell::of_benchmark_index(index).unwrap()).collect();
        assert!(cells.iter().step_by(61).enumerate().all(|(i, cell)| cell.benchmark_index() == 61 * i));
        cells.sort_unstable();
        assert!(cells.into_iter().eq(all()));
        assert_eq!(Cell::of_benchmark_index(COUNT), None);
    }

    /// Entries of the list of archs in the benchmark's files.
    #[test]
    fn cells_have_the_benchmarks_numbers() {
        for (index, arch) in [
            (
                0,
                "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
            ),
            (
                1,
                "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
            ),
            (
                12804,
                "|none~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|nor_conv_1x1~0|avg_pool_3x3~1|skip_connect~2|",
            ),
            (15624, "|nor_conv_1x1~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|"),
        ] {
            let cell: Cell = arch.parse().unwrap();
            assert_eq!((cell.benchmark_index(), Cell::of_benchmark_index(index)), (index, Some(cell)));
        }
    }
}
