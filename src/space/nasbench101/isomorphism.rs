//! Renumbering of interior vertices: which cells are isomorphic, and which of them stands for the rest.

use super::cell::{MAX_INTERIOR, MAX_VERTICES, NO_OPS, edge_index};
use super::{Cell, VertexOp};

const EDGES: usize = MAX_VERTICES * (MAX_VERTICES - 1) / 2;

/// One renumbering of the interior vertices; input and output keep their numbers.
#[derive(Clone, Debug)]
pub(super) struct Renumbering {
    /// New position of each interior operation.
    positions: Vec<usize>,
    /// Bit of each edge after renumbering.
    images: [u32; EDGES],
    /// Edges that would then lead from a higher to a lower number.
    reversed: u32,
}

impl Renumbering {
    fn new(positions: Vec<usize>) -> Self {
        let last = positions.len() + 1;
        let number = |v: usize| if v == 0 || v == last { v } else { positions[v - 1] + 1 };
        let (mut images, mut reversed) = ([0; EDGES], 0);
        for to in 1..=last {
            for from in 0..to {
                let (new_from, new_to) = (number(from), number(to));
                if new_from < new_to {
                    images[edge_index(from, to)] = 1 << edge_index(new_from, new_to);
                } else {
                    reversed |= 1 << edge_index(from, to);
                }
            }
        }
        Renumbering { positions, images, reversed }
    }

    /// The edges after renumbering; none when the matrix would not be upper triangular.
    pub(super) fn edges(&self, edges: u32) -> Option<u32> {
        if edges & self.reversed != 0 {
            return None;
        }
        let (mut left, mut image) = (edges, 0);
        while left != 0 {
            image |= self.images[left.trailing_zeros() as usize];
            left &= left - 1;
        }
        Some(image)
    }

    /// The operations after renumbering.
    pub(super) fn ops(&self, ops: &[VertexOp; MAX_INTERIOR]) -> [VertexOp; MAX_INTERIOR] {
        let mut image = NO_OPS;
        for (&position, &op) in self.positions.iter().zip(ops) {
            image[position] = op;
        }
        image
    }
}

/// All renumberings of a cell of so many vertices: (vertices - 2)!.
pub(super) fn renumberings(vertices: usize) -> Vec<Renumbering> {
    let mut permutations: Vec<Vec<usize>> = vec![Vec::new()];
    for next in 0..vertices - 2 {
        let insert = |p: &Vec<usize>| {
            let p = p.clone();
            (0..=next).map(move |at| [&p[..at], &[next], &p[at..]].concat())
        };
        permutations = permutations.iter().flat_map(insert).collect();
    }
    permutations.into_iter().map(Renumbering::new).collect()
}

impl Cell {
    /// The isomorphic cell that [`all`](super::all) yields: the first of its class in the benchmark's
    /// enumeration, which is the one with the least edge number (bit `i + j (j - 1) / 2` is the edge `i -> j`)
    /// and, among those, the first list of operations.
    ///
    /// ```
    /// use naswot::nasbench101::Cell;
    ///
    /// let cell: Cell = "0110000100010000/20".parse()?;
    /// assert_eq!(cell.representative(), "0110000100010000/02".parse::<Cell>()?);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn representative(&self) -> Self {
        let renumbered = |r: &Renumbering| Some((r.edges(self.edges)?, r.ops(&self.ops)));
        let least = renumberings(self.vertices()).iter().filter_map(renumbered).min();
        let Some((edges, ops)) = least else { unreachable!("the identity is a renumbering") };
        Cell { edges, ops, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_renumberings_as_permutations() {
        let counts: Vec<usize> = (2..=7).map(|v| renumberings(v).len()).collect();
        assert_eq!(counts, [1, 1, 2, 6, 24, 120]);
    }

    #[test]
    fn edges_come_before_operations_in_the_order() {
        // 0 -> 1 -> 3, 0 -> 2 -> 3 with and without 0 -> 3; then 1 -> 2 forbids to swap.
        for (cell, representative) in [
            ("0110000100010000/10", "0110000100010000/01"),
            ("0111000100010000/21", "0111000100010000/12"),
            ("0100001000010000/21", "0100001000010000/21"),
        ] {
            let cell: Cell = cell.parse().unwrap();
            assert_eq!(cell.representative().to_string(), representative);
        }
    }
}
