//! What a user of NAS-Bench-101 can rely on. `parity_pytorch.rs` compares parameters and scores with PyTorch's.

use naswot::Convention;
use naswot::nasbench101::{self, Cell, Skeleton};
use proptest::prelude::*;

/// A cell drawn from random matrices.
fn any_cell() -> impl Strategy<Value = Cell> {
    any::<u64>().prop_filter_map("no cell", |seed| nasbench101::sample_matrices(1, seed).next())
}

/// The cell with its vertices in another order that leaves every edge pointing to a higher number: of the
/// vertices whose predecessors all have their place, the one of the least key comes next.
fn reordered(cell: &Cell, keys: &[u32; 7]) -> Cell {
    let (adjacency, names, vertices) = (cell.adjacency(), cell.op_names(), cell.vertices());
    let mut order: Vec<usize> = Vec::new();
    while order.len() < vertices {
        let ready = (0..vertices).filter(|v| !order.contains(v));
        let ready = ready.filter(|&v| (0..v).all(|u| adjacency[u][v] == 0 || order.contains(&u)));
        order.extend(ready.min_by_key(|&v| keys[v]));
    }
    let rows: Vec<Vec<u8>> =
        order.iter().map(|&i| order.iter().map(|&j| adjacency[i][j]).collect()).collect();
    let names: Vec<&str> = order.iter().map(|&v| names[v]).collect();
    Cell::new(&rows, &names).unwrap()
}

proptest! {
    #[test]
    fn isomorphic_cells_have_one_hash_and_one_representative(cell in any_cell(), keys: [u32; 7]) {
        let other = reordered(&cell, &keys);
        prop_assert_eq!(other.hash(), cell.hash());
        prop_assert_eq!(other.representative(), cell.representative());
        prop_assert_eq!(cell.representative().hash(), cell.hash());
    }

    #[test]
    fn a_cell_survives_its_text_and_its_matrix(cell in any_cell()) {
        prop_assert_eq!(cell.to_string().parse::<Cell>().unwrap(), cell);
        prop_assert_eq!(Cell::new(&cell.adjacency(), &cell.op_names()).unwrap(), cell);
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "[01]{0,50}/[0-3]{0,6}|.{0,20}") {
        if let Ok(cell) = text.parse::<Cell>() {
            prop_assert_eq!(cell.to_string().parse::<Cell>().unwrap(), cell);
        }
    }

    #[test]
    fn a_mutation_is_another_cell_of_the_space(cell in any_cell(), seed: u64) {
        let mutated = cell.mutate(seed);
        prop_assert_eq!(mutated, cell.mutate(seed));
        prop_assert_eq!(mutated.is_none(), cell.vertices() == 2);
        if let Some(mutated) = mutated {
            prop_assert_eq!(Cell::new(&mutated.adjacency(), &mutated.op_names()).unwrap(), mutated);
            prop_assert_eq!(mutated.representative(), mutated);
            prop_assert_ne!(mutated.hash(), cell.hash());
        }
    }

    #[test]
    fn every_cell_makes_a_network(cell in any_cell(), stem in 5usize..40) {
        let network = cell.network(&Skeleton { stem, stacks: 2, cells: 1 }).unwrap();
        prop_assert_eq!(network.id(), cell.hash());
        prop_assert!(network.activations(8, 8, Convention::Relu).unwrap() > 0);
    }
}

#[test]
fn activations_are_those_of_the_specification() {
    for (arch, activations) in [("0100/", 102_400), ("010001000/0", 188_416), ("011001000/0", 274_432)] {
        let network = arch.parse::<Cell>().unwrap().network(&Skeleton::default()).unwrap();
        for convention in [Convention::Relu, Convention::Original] {
            assert_eq!(network.activations(32, 32, convention).unwrap(), activations, "{arch}");
        }
    }
}
