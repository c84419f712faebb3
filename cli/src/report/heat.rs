//! Heat maps of kernels, which are checked against their rows and reduced.

use std::path::Path;

use naswot::Agreement;
use naswot::analysis::drawing::Blocks;
use rayon::prelude::*;

use super::networks::{NetworkRow, Networks};
use crate::exit::{Failure, Result};
use crate::kernels::{self, KernelFacts};

/// Most squares of a side of a heat map.
const MOST_SQUARES: usize = 32;

/// Heat maps of all networks that have a score, in the order of their rows.
pub struct HeatMaps {
    /// Squares of a side.
    pub(super) side: usize,
    /// Images of a side of a square.
    pub(super) block: usize,
    /// Images of the batch, N.
    pub(super) images: usize,
    /// The smallest share K / N_A of any square of any network.
    pub(super) least: f64,
    /// Squares on and below the diagonal, row by row, of each network: 0 is the smallest share, 255 all of N_A.
    pub(super) squares: Vec<u8>,
}

impl HeatMaps {
    /// Reads the kernel of every network with a score.
    pub fn read(folder: &Path, networks: &Networks) -> Result<Self> {
        let wrong = |why: String| Failure::unusable(format_args!("{}: {why}", folder.display()));
        if !folder.is_dir() {
            return Err(wrong("is no folder of kernels".to_owned()));
        }
        let scored: Vec<&NetworkRow> =
            networks.rows.iter().filter(|network| network.row.score().is_some()).collect();
        if scored.is_empty() {
            return Err(wrong(format!("no network of {} has a score, and so a kernel", networks.name)));
        }
        let images = one_size(networks, &scored)?;
        one_kernel_each(folder, networks)?;
        let small = |network: &&NetworkRow| {
            kernel(folder, networks, network).map(|kernel| ReducedKernel::of(&kernel))
        };
        let small: Vec<Result<ReducedKernel>> = scored.par_iter().map(small).collect();
        // The first row that is wrong, whichever was found first.
        let small = small.into_iter().collect::<Result<Vec<ReducedKernel>>>()?;
        let (side, block) = small.first().map_or((0, 1), |small| (small.side, small.block));
        let shares = || small.iter().flat_map(|small| &small.shares).map(|&share| f64::from(share));
        let least = shares().fold(1.0, f64::min);
        // Where all agree in everything, they have the color of 1.
        let part = |share| if least < 1.0 { (share - least) / (1.0 - least) } else { 1.0 };
        // Conversion ends at 0 and 255.
        let squares = shares().map(|share| (part(share) * 255.0).round() as u8).collect();
        Ok(HeatMaps { side, block, images, least, squares })
    }
}

/// The number of images, N, that all rows have.
fn one_size(networks: &Networks, scored: &[&NetworkRow]) -> Result<usize> {
    let size = |network: &NetworkRow| {
        let size = network.row.integer("batch_size");
        size.unwrap_or_else(|| unreachable!("a row with a score has a batch size"))
    };
    let first = scored[0];
    match scored.iter().find(|network| size(network) != size(first)) {
        None => Ok(size(first) as usize),
        Some(other) => {
            let (found, images, at) = (size(other), size(first), networks.place(first));
            let message = format!("K is of {found} images, but of {images} at {at}; a page shows one size");
            Err(Failure::unusable(format_args!("{}: {message}", networks.place(other))))
        }
    }
}

/// Checks that no two rows have one index, and so one kernel.
fn one_kernel_each(folder: &Path, networks: &Networks) -> Result<()> {
    let Some((first, second)) = networks.repeated_index() else { return Ok(()) };
    let index = second.row.index();
    let (first, second, path) = (networks.place(first), networks.place(second), kernels::path(folder, index));
    let message = format!("index is {index}, as at {first}: whose kernel is {}?", path.display());
    Err(Failure::unusable(format_args!("{second}: {message}")))
}

/// A kernel that is reduced to few squares.
struct ReducedKernel {
    /// Squares of a side, and images of a side of a square.
    side: usize,
    block: usize,
    /// K / N_A on and below the diagonal, row by row: K is symmetric.
    shares: Vec<f32>,
}

impl ReducedKernel {
    fn of(kernel: &Agreement) -> Self {
        let blocks = Blocks::of(kernel, MOST_SQUARES);
        let rows = blocks.shares.chunks_exact(blocks.side).enumerate();
        let shares = rows.flat_map(|(i, row)| &row[..=i]).map(|&share| share as f32).collect();
        ReducedKernel { side: blocks.side, block: blocks.images, shares }
    }
}

/// The kernel of a network, which is its row's.
fn kernel(folder: &Path, networks: &Networks, network: &NetworkRow) -> Result<Agreement> {
    let row = &network.row;
    kernels::read(folder, row.index(), &KernelFacts::of(row), networks.place(network))
}
