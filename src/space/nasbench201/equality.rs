//! Cells that compute the same by way of their operations alone, whatever the weights.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::enumerate::all;
use super::{Cell, EDGES, Op};

/// The first cell of each expression.
static FIRST: OnceLock<HashMap<String, Cell>> = OnceLock::new();

/// The expression of the input.
const INPUT: &str = "0";
/// The expression of what is nothing.
const NOTHING: &str = "#";

impl Cell {
    /// The first of the cells, in the order of [`all`], whose output is the same expression of the input: `skip_connect` is
    /// its source, `none` is nothing and so is any operation on it, and the terms of a sum have no order. There are 6,466
    /// expressions.
    ///
    /// Terms that are nothing, or equal to another one, are terms, and a sum that a skip passes on is one, as in the
    /// benchmark's own count. Cells of equal expression are not one network: their ReLUs are counted by module.
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, Op};
    ///
    /// let cell: Cell = "|none~0|+|skip_connect~0|none~1|+|none~0|nor_conv_3x3~1|none~2|".parse()?;
    /// assert_eq!(cell.first_equal(), Cell::new([Op::None; 6]));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn first_equal(&self) -> Self {
        let first = FIRST.get_or_init(|| all().rev().map(|cell| (cell.expression(), cell)).collect());
        let found = first.get(&self.expression());
        *found.unwrap_or_else(|| unreachable!("{self} is in the space"))
    }

    /// The output as an expression of the input, written as the benchmark's `to_unique_str` does: which cells are equal
    /// depends on it, since terms are sorted as texts.
    fn expression(&self) -> String {
        let mut nodes = vec![INPUT.to_owned()];
        for target in 1..=3 {
            let edges = EDGES.iter().zip(self.ops).filter(|((_, to), _)| *to == target);
            let term = |((source, _), op): (&(usize, usize), Op)| match (op, nodes[*source].as_str()) {
                (Op::None, _) | (_, NOTHING) => NOTHING.to_owned(),
                (Op::SkipConnect, source) => source.to_owned(),
                (Op::NorConv1x1 | Op::NorConv3x3 | Op::AvgPool3x3, source) => format!("({source})@{op}"),
            };
            let mut terms: Vec<String> = edges.map(term).collect();
            terms.sort_unstable();
            nodes.push(terms.join("+"));
        }
        nodes.swap_remove(3)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The count of the benchmark's paper (Dong and Yang, 2020).
    #[test]
    fn there_are_6466_expressions() {
        let firsts: HashSet<Cell> = all().map(|cell| cell.first_equal()).collect();
        assert_eq!(firsts.len(), 6466);
        assert!(all().all(|cell| cell.first_equal() <= cell));
        assert!(firsts.iter().all(|first| first.first_equal() == *first));
    }

    #[test]
    fn equal_cells_are_those_whose_graphs_say_the_same() {
        let first = |arch: &str| arch.parse::<Cell>().unwrap().first_equal().to_string();
        for [cell, other] in [
            // What comes of nothing is nothing.
            [
                "|none~0|+|skip_connect~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|none~2|",
                "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|skip_connect~1|none~2|",
            ],
            // The order of terms does not matter, and a skip is its source.
            [
                "|skip_connect~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|none~1|skip_connect~2|",
                "|skip_connect~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|",
            ],
        ] {
            assert_eq!(first(cell), first(other));
        }
        let twice = "|skip_connect~0|+|none~0|none~1|+|nor_conv_1x1~0|nor_conv_1x1~1|none~2|";
        let once = "|skip_connect~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|";
        assert_ne!(first(twice), first(once));
    }
}
