//! The whole space, one cell of each isomorphism class, without hashing.

use super::cell::{MAX_EDGES, MAX_INTERIOR, MAX_VERTICES, NO_OPS, contains};
use super::isomorphism::{Renumbering, renumberings};
use super::{Cell, VertexOp};

/// Cells of the space, up to isomorphism.
pub const COUNT: usize = 423_624;

/// All [`COUNT`] cells in the order of the benchmark's enumeration, one
/// [`representative`](Cell::representative) of each isomorphism class: vertices ascending, edge numbers
/// ascending, operations in lexicographic order. Takes well under 0.1 s in all.
///
/// ```
/// use naswot::nasbench101::{self, Cell};
///
/// let first: Vec<String> = nasbench101::all().take(3).map(|cell| cell.to_string()).collect();
/// assert_eq!(first, ["0100/", "010001000/0", "010001000/1"]);
/// ```
pub fn all() -> impl Iterator<Item = Cell> {
    (2..=MAX_VERTICES).flat_map(|vertices| {
        let renumberings = renumberings(vertices);
        (0..1 << (vertices * (vertices - 1) / 2))
            .flat_map(move |edges| representatives(vertices, edges, &renumberings))
    })
}

/// The representatives that have exactly these edges.
fn representatives(vertices: usize, edges: u32, renumberings: &[Renumbering]) -> Vec<Cell> {
    if edges.count_ones() as usize > MAX_EDGES || !is_pruned(vertices, edges) {
        return Vec::new();
    }
    let Some(automorphisms) = automorphisms_of_least(edges, renumberings) else {
        return Vec::new();
    };
    labelings(vertices - 2)
        .filter(|ops| automorphisms.iter().all(|automorphism| *ops <= automorphism.ops(ops)))
        .map(|ops| Cell { edges, vertices: vertices as u8, ops })
        .collect()
}

/// Whether every vertex lies on a path from the first to the last: in a matrix that is upper triangular,
/// whether each but the last has a successor and each but the first a predecessor.
fn is_pruned(vertices: usize, edges: u32) -> bool {
    (1..vertices).all(|v| (0..v).any(|from| contains(edges, from, v)))
        && (0..vertices - 1).all(|v| (v + 1..vertices).any(|to| contains(edges, v, to)))
}

/// The renumberings that leave the edges alike; none when one of them makes a smaller number.
fn automorphisms_of_least(edges: u32, renumberings: &[Renumbering]) -> Option<Vec<&Renumbering>> {
    let mut automorphisms = Vec::new();
    for renumbering in renumberings {
        match renumbering.edges(edges) {
            Some(image) if image < edges => return None,
            Some(image) if image == edges => automorphisms.push(renumbering),
            _ => {}
        }
    }
    Some(automorphisms)
}

/// All lists of operations of so many vertices, in lexicographic order.
fn labelings(interior: usize) -> impl Iterator<Item = [VertexOp; MAX_INTERIOR]> {
    (0..VertexOp::ALL.len().pow(interior as u32)).map(move |number| {
        let (mut ops, mut rest) = (NO_OPS, number);
        for op in ops[..interior].iter_mut().rev() {
            *op = VertexOp::ALL[rest % 3];
            rest /= 3;
        }
        ops
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_has_the_benchmarks_size() {
        let (mut by_vertices, mut by_convolutions) = ([0; 8], [0; 6]);
        for cell in all() {
            by_vertices[cell.vertices()] += 1;
            by_convolutions[cell.ops().iter().filter(|&&op| op != VertexOp::MaxPool3x3).count()] += 1;
        }
        assert_eq!(by_vertices[2..], [1, 6, 84, 2441, 62010, 359_082]);
        assert_eq!(by_convolutions, [2494, 21_906, 78_538, 142_432, 130_250, 48_004]);
        assert_eq!(by_vertices.iter().sum::<usize>(), COUNT);
    }

    #[test]
    fn every_cell_is_its_own_representative_and_comes_in_order() {
        let cells: Vec<Cell> = all().step_by(97).collect();
        assert!(cells.iter().all(|cell| cell.representative() == *cell));
        assert!(cells.is_sorted_by_key(|cell| (cell.vertices, cell.edges, cell.ops)));
    }
}
