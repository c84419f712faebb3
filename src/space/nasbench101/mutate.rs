//! Mutation of a cell, for evolutionary search.

use super::Cell;
use super::cell::contains;
use crate::random::{Domain, Rng};

impl Cell {
    /// A random neighbor, as AREA (Mellor et al., 2021, and its public code) mutates: one entry of the upper
    /// triangle is flipped, uniform among those whose flip leaves a cell of the space; the rest is pruned, and
    /// the class's [`representative`](Cell::representative) is returned, since AREA goes by the benchmark's
    /// own entries. The operations stay.
    ///
    /// The matrix is that of the pruned cell. So a mutation adds one edge or takes at least one away, is never
    /// isomorphic to its parent, and never has more vertices. `None` for the cell of input and output alone,
    /// which has no neighbor; every other cell has one. A seed gives one mutation: take another for the next.
    ///
    /// ```
    /// use naswot::nasbench101::Cell;
    ///
    /// let cell: Cell = "010001000/0".parse()?;
    /// assert_eq!(cell.mutate(0), Some("011001000/0".parse()?));
    /// assert_eq!("0100/".parse::<Cell>()?.mutate(0), None);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn mutate(&self, seed: u64) -> Option<Self> {
        let neighbors = self.neighbors();
        let mut rng = Rng::new(seed, Domain::Sampling, "nasbench101/mutation");
        let pick = (!neighbors.is_empty()).then(|| rng.below(neighbors.len() as u32))?;
        Some(neighbors[pick as usize].representative())
    }

    /// The cells that single flips leave, one entry a flip.
    fn neighbors(&self) -> Vec<Self> {
        let vertices = self.vertices();
        let flips = 0..vertices * (vertices - 1) / 2;
        let flip = |bit: usize| {
            let edges = self.edges ^ (1 << bit);
            Cell::pruned(vertices, |from, to| contains(edges, from, to), |vertex| self.ops[vertex - 1]).ok()
        };
        flips.filter_map(flip).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_changes_the_number_of_edges() {
        for cell in super::super::all().step_by(61).skip(1) {
            let neighbors = cell.neighbors();
            assert!(!neighbors.is_empty(), "{cell}");
            for neighbor in neighbors {
                assert!(neighbor.edges() == cell.edges() + 1 || neighbor.edges() < cell.edges());
            }
        }
    }

    #[test]
    fn flips_are_drawn_uniformly() {
        // Of the six flips two add an edge, none of the other four cuts all paths.
        let cell: Cell = "0110000100010000/01".parse().unwrap();
        let neighbors = cell.neighbors();
        assert_eq!(neighbors.len(), 6);
        let grown = (0..6000).filter(|&seed| cell.mutate(seed).unwrap().edges() == 5).count();
        assert!((1850..2150).contains(&grown), "{grown}");
    }
}
