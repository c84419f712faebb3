//! Against real images and the benchmarks' own tables.

mod common;
#[path = "real/data.rs"]
mod data;
#[path = "real/nasbench101.rs"]
mod nasbench101;
#[path = "real/nasbench201.rs"]
mod nasbench201;

use std::process::ExitCode;

use common::harness::{Requirement::Data, needs, run};

fn main() -> ExitCode {
    run(vec![
        needs(Data, "cifar_files_are_read_and_normalised", data::reads_real_images),
        needs(Data, "nasbench101_hashes_and_parameters", nasbench101::hashes_and_parameters_match),
        needs(Data, "nasbench201_cells_and_parameters", nasbench201::parses_and_counts_every_cell),
    ])
}
