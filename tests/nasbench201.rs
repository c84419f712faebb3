//! NAS-Bench-201: strings, enumeration, sampling and networks against closed forms. `parity_pytorch.rs` compares
//! parameters and scores with PyTorch's.

use std::collections::{BTreeMap, HashSet};

use naswot::nasbench201::{self, COUNT, Cell, EDGES, Op};
use naswot::{Convention, Error, Network};
use proptest::prelude::*;

/// The whole space; without optimisation every 31st cell, since building 15,625 networks takes a while.
fn cells() -> impl Iterator<Item = Cell> {
    nasbench201::all().step_by(if cfg!(debug_assertions) { 31 } else { 1 })
}

fn count(cell: Cell, op: Op) -> u64 {
    cell.ops().iter().filter(|&&o| o == op).count() as u64
}

fn any_cell() -> impl Strategy<Value = Cell> {
    prop::array::uniform6(prop::sample::select(&Op::ALL[..])).prop_map(Cell::new)
}

#[test]
fn all_yields_every_cell_once_in_ascending_order() {
    let all: Vec<Cell> = nasbench201::all().collect();
    assert_eq!((COUNT, all.len()), (15_625, 15_625));
    assert!(all.is_sorted_by(|a, b| a < b));
    assert_eq!(all[COUNT - 1], Cell::new([Op::AvgPool3x3; 6]));
}

#[test]
fn every_arch_string_reads_back() {
    for cell in nasbench201::all() {
        assert_eq!(cell.to_string().parse::<Cell>().unwrap(), cell);
    }
}

#[test]
fn arch_strings_are_written_as_the_benchmark_writes_them() {
    use Op::{AvgPool3x3, None, NorConv1x1, NorConv3x3, SkipConnect};
    let cell = Cell::new([NorConv3x3, None, SkipConnect, NorConv1x1, AvgPool3x3, NorConv3x3]);
    let arch = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|";
    assert_eq!(cell.to_string(), arch);
}

#[test]
fn a_malformed_string_is_an_error_that_says_what_and_where() {
    let tail = "+|none~0|none~1|+|none~0|none~1|none~2|";
    let long = format!("|{}~0|{tail}", "x".repeat(1000));
    let cases = [
        ("", r#""" describes 1 nodes, not 3"#),
        ("|none~0|+|none~0|none~1|", "describes 2 nodes, not 3"),
        (&format!("|none~0|{tail}+|none~0|"), "describes 4 nodes, not 3"),
        (&format!("none~0{tail}"), r#"node 1 is "none~0", not between `|`"#),
        (&format!("|{tail}"), r#"node 1 is "|", not between `|`"#),
        (&format!(" |none~0|{tail}"), r#"node 1 is " |none~0|", not between `|`"#),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", r#"node 2 is "|none~0|" of 1 edges, not 2"#),
        (&format!("|none~0|none~0|{tail}"), "of 2 edges, not 1"),
        (&format!("||{tail}"), r#"edge 0 of node 1 is "", without `~`"#),
        (&format!("|none|{tail}"), r#"edge 0 of node 1 is "none", without `~`"#),
        (&format!("|conv~0|{tail}"), r#"edge 0 of node 1 has an unknown operation "conv" (known are none, "#),
        (&format!("|None~0|{tail}"), r#"unknown operation "None""#),
        (&format!("|no\nne~0|{tail}"), r#"unknown operation "no\nne""#),
        (&format!("|none~1|{tail}"), r#"edge 0 of node 1 comes from "1", not from node 0"#),
        (&format!("|none~00|{tail}"), r#"comes from "00", not from node 0"#),
        (&format!("|none~0~0|{tail}"), r#"comes from "0~0", not from node 0"#),
        (&format!("|none~0|{}", tail.replace("none~1|+", "none~0|+")), r#"edge 1 of node 2 comes from "0""#),
        (&format!("|none~0|{tail}\n"), r#"none~2|\n", not between"#),
        (&long, r#"xxx"..."#),
    ];
    for (arch, why) in cases {
        let error = arch.parse::<Cell>().unwrap_err();
        assert!(matches!(error, Error::Cell { space: "nasbench201", .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(why), "{message} does not say {why}");
        assert!(message.len() < 250 && !message.contains('\n'), "{message}");
    }
}

#[test]
fn an_operation_reads_back() {
    for op in Op::ALL {
        assert_eq!(op.to_string().parse::<Op>().unwrap(), op);
    }
    let message = "nor_conv_7x7".parse::<Op>().unwrap_err().to_string();
    assert!(message.starts_with(r#"nasbench201: unknown operation "nor_conv_7x7""#), "{message}");
}

proptest! {
    #[test]
    fn any_text_is_an_error_or_prints_as_it_was(arch in "[|+~0-2a-z_]{0,60}|\\PC*") {
        if let Ok(cell) = arch.parse::<Cell>() {
            prop_assert_eq!(cell.to_string(), arch);
        }
    }

    #[test]
    fn a_mutant_differs_in_one_operation(cell in any_cell(), seed: u64) {
        let mutant = cell.mutate(seed);
        let changed = cell.ops().iter().zip(mutant.ops()).filter(|(a, b)| **a != *b).count();
        prop_assert_eq!(changed, 1);
        prop_assert_eq!(mutant, cell.mutate(seed));
    }
}

#[test]
fn all_24_mutants_are_equally_likely() {
    let parent: Cell =
        "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|".parse().unwrap();
    let mut counts = BTreeMap::<Cell, u32>::new();
    for seed in 0..24_000 {
        *counts.entry(parent.mutate(seed)).or_default() += 1;
    }
    assert_eq!(counts.len(), 24);
    // Five standard deviations of a binomial count.
    assert!(counts.values().all(|count| (845..1155).contains(count)), "{counts:?}");
}

#[test]
fn a_sample_is_distinct_reproducible_and_grows_from_its_start() {
    let sample = nasbench201::sample(1000, 42).unwrap();
    assert_eq!(sample.iter().collect::<HashSet<_>>().len(), 1000);
    assert_eq!(sample, nasbench201::sample(1000, 42).unwrap());
    assert_eq!(sample[..10], nasbench201::sample(10, 42).unwrap());
    assert_ne!(sample[..10], nasbench201::sample(10, 43).unwrap());
}

#[test]
fn a_sample_may_be_empty_or_the_whole_space_but_not_larger() {
    assert!(nasbench201::sample(0, 0).unwrap().is_empty());
    let mut whole = nasbench201::sample(COUNT, 1).unwrap();
    whole.sort();
    assert!(whole.into_iter().eq(nasbench201::all()));
    let error = nasbench201::sample(COUNT + 1, 1).unwrap_err();
    assert_eq!(error.to_string(), "n: 15626 different cells are more than the 15625 of nasbench201");
}

#[test]
fn a_sample_draws_all_operations_of_all_edges_equally_often() {
    let mut counts = [[0u32; 5]; 6];
    for seed in 0..50 {
        for cell in nasbench201::sample(200, seed).unwrap() {
            for (row, op) in counts.iter_mut().zip(cell.ops()) {
                row[op as usize] += 1;
            }
        }
    }
    assert!(counts.as_flattened().iter().all(|count| (1800..2200).contains(count)), "{counts:?}");
}

#[test]
fn activations_are_those_of_the_paper_and_of_its_code() {
    for cell in cells() {
        let network = cell.network(&nasbench201::Skeleton::default()).unwrap();
        let convs = count(cell, Op::NorConv1x1) + count(cell, Op::NorConv3x3);
        let (relu, original) = (40_960 + 143_360 * convs, 77_824 + 286_720 * convs);
        let at = |size, convention| network.activations(size, size, convention).unwrap();
        assert_eq!([at(32, Convention::Relu), at(32, Convention::Original)], [relu, original], "{cell}");
        assert_eq!(
            [at(16, Convention::Relu), at(16, Convention::Original)],
            [relu / 4, original / 4],
            "{cell}"
        );
    }
}

#[test]
fn parameters_and_macs_follow_their_closed_forms() {
    for cell in cells() {
        let network = cell.network(&nasbench201::Skeleton::default()).unwrap();
        let (conv1x1, conv3x3) = (count(cell, Op::NorConv1x1), count(cell, Op::NorConv3x3));
        let parameters: u64 = [16, 32, 64]
            .into_iter()
            .map(|c| conv3x3 * 5 * (9 * c * c + 2 * c) + conv1x1 * 5 * (c * c + 2 * c))
            .sum();
        assert_eq!(network.parameters(), 73_306 + parameters, "{cell}");

        let stem = 27 * 16 * 1024;
        let reductions =
            (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32) * 256 + (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64) * 64;
        let edges = (9 * conv3x3 + conv1x1) * 3 * 5 * 16 * 16 * 1024;
        assert_eq!(network.macs(32, 32).unwrap(), stem + reductions + edges, "{cell}");
    }
}

/// Names and shapes of all parameters but the classifier's.
fn parameters(network: &Network) -> BTreeMap<String, Vec<usize>> {
    let nodes = network.graph().nodes();
    let mut shapes = BTreeMap::new();
    for node in nodes {
        match node.op() {
            naswot::Op::Conv(conv) => {
                let inputs = nodes[node.inputs()[0].index()].channels();
                let shape = vec![conv.out_channels, inputs / conv.groups, conv.kernel[0], conv.kernel[1]];
                shapes.insert(node.name().to_owned(), shape);
            }
            naswot::Op::BatchNorm { .. } => {
                for part in ["weight", "bias"] {
                    shapes.insert(format!("{}.{part}", node.name()), vec![node.channels()]);
                }
            }
            _ => {}
        }
    }
    shapes
}

#[test]
fn cells_and_reduction_blocks_are_numbered_through_for_any_depth() {
    let cell = Cell::new([Op::NorConv1x1; 6]);
    let names = parameters(&cell.network(&nasbench201::Skeleton { stem: 4, cells: 2 }).unwrap());
    for (block, channels) in [(0, 4), (1, 4), (3, 8), (4, 8), (6, 16), (7, 16)] {
        for edge in 0..EDGES.len() {
            assert_eq!(
                names[&format!("cells.{block}.layers.{edge}.op.1.weight")],
                [channels, channels, 1, 1]
            );
        }
    }
    for (block, channels) in [(2, 8), (5, 16)] {
        assert_eq!(names[&format!("cells.{block}.conv_a.op.1.weight")], [channels, channels / 2, 3, 3]);
        assert_eq!(names[&format!("cells.{block}.downsample.1.weight")], [channels, channels / 2, 1, 1]);
    }
    assert_eq!(names["lastact.0.weight"], [16]);
    assert_eq!(names.len(), 3 + 6 * 6 * 3 + 2 * 7 + 2);
}

#[test]
fn a_depth_or_width_out_of_range_is_an_error() {
    let cell = Cell::new([Op::NorConv3x3; 6]);
    for (c, n, why) in [
        (0, 5, "stem: 0 is not from 1 to 4096"),
        (4_097, 1, "stem: 4097 is not from 1 to 4096"),
        (usize::MAX, 1, "stem: "),
        (16, 0, "cells: 0 is not from 1 to 1000"),
        (16, usize::MAX, "cells: "),
    ] {
        let error = cell.network(&nasbench201::Skeleton { stem: c, cells: n }).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }));
        assert!(error.to_string().starts_with(why), "{error}");
    }
    let widest = cell.network(&nasbench201::Skeleton { stem: 4_096, cells: 1 }).unwrap();
    assert!(widest.parameters() > 6 * 9 * (1 << 28));
}

#[test]
fn an_image_that_4_does_not_divide_is_an_error() {
    let network = Cell::new([Op::None; 6]).network(&nasbench201::Skeleton { stem: 16, cells: 1 }).unwrap();
    assert!(network.activations(30, 32, Convention::Relu).is_err());
    assert!(network.activations(4, 8, Convention::Relu).is_ok());
}
