//! Kernels of the networks, checked against their rows and made small.

use std::path::Path;

use naswot::Kernel;
use naswot::analysis::drawing::Blocks;
use rayon::prelude::*;

use super::networks::{Network, Networks};
use crate::exit::{Failure, Result};
use crate::kernels;

/// Most squares of a side of a heat map.
const MOST_SQUARES: usize = 32;

/// How far the log-determinant of a kernel may be from the score, whose Cholesky may have been in f32.
const TOLERANCE: f64 = 0.01;

/// Heat maps of all networks that have a score, in the order of their rows.
pub(super) struct Heat {
    /// Squares of a side.
    pub(super) side: usize,
    /// Images of a side of a square.
    pub(super) block: usize,
    /// Images of the batch, N.
    pub(super) images: usize,
    /// The smallest share K / N_A of any square.
    pub(super) least: f64,
    /// For each network the squares on and below the diagonal, row by row: 0 is the smallest share, 255 all of N_A.
    pub(super) squares: Vec<u8>,
}

/// Reads the kernel of every network with a score.
pub(super) fn read(folder: &Path, networks: &Networks) -> Result<Heat> {
    let wrong = |why: String| Failure::unusable(format_args!("{}: {why}", folder.display()));
    if !folder.is_dir() {
        return Err(wrong("is no folder of kernels".to_owned()));
    }
    let scored: Vec<&Network> = networks.rows.iter().filter(|network| network.score().is_some()).collect();
    let Some(first) = scored.first() else {
        return Err(wrong(format!("no network of {} has a score, and so a kernel", networks.name)));
    };
    let images = first.integer("batch_size");
    if let Some(other) = scored.iter().find(|network| network.integer("batch_size") != images) {
        let (images, found) = (images.unwrap_or(0), other.integer("batch_size").unwrap_or(0));
        let (first, place) = (networks.place(first), networks.place(other));
        let message = format!("K is of {found} images, but of {images} at {first}; a page shows one size");
        return Err(Failure::unusable(format_args!("{place}: {message}")));
    }
    if let Some((first, second)) = networks.repeated_index() {
        let (index, first, place) =
            (second.index().unwrap_or(0), networks.place(first), networks.place(second));
        let path = kernels::path(folder, index);
        let message = format!("index is {index}, as at {first}: whose kernel is {}?", path.display());
        return Err(Failure::unusable(format_args!("{place}: {message}")));
    }
    let small =
        |network: &&Network| Ok(Blocks::of(&kernel(folder, networks, network)?, MOST_SQUARES)).map(lower);
    let small: Vec<Result<(usize, usize, Vec<f32>)>> = scored.par_iter().map(small).collect();
    // The first row that is wrong, whichever was found first.
    let small = small.into_iter().collect::<Result<Vec<_>>>()?;
    let (side, block) = small.first().map_or((0, 1), |(side, block, _)| (*side, *block));
    let shares = || small.iter().flat_map(|(_, _, shares)| shares).map(|&share| f64::from(share));
    let least = shares().fold(1.0, f64::min);
    let range = if least < 1.0 { 1.0 - least } else { 1.0 };
    let squares = shares().map(|share| ((share - least) / range * 255.0).round() as u8).collect();
    Ok(Heat { side, block, images: images.unwrap_or(0) as usize, least, squares })
}

/// Side, images of a square, and the squares on and below the diagonal: K is symmetric.
fn lower(blocks: Blocks) -> (usize, usize, Vec<f32>) {
    let rows = blocks.shares.chunks_exact(blocks.side).enumerate();
    let shares = rows.flat_map(|(i, row)| &row[..=i]).map(|&share| share as f32).collect();
    (blocks.side, blocks.images, shares)
}

/// The kernel of a network, which is its row's.
fn kernel(folder: &Path, networks: &Networks, network: &Network) -> Result<Kernel> {
    let path = kernels::path(folder, network.index().unwrap_or(0));
    let (name, place) = (path.display(), networks.place(network));
    let wrong = |why: String| Failure::unusable(format_args!("{name}: {why}"));
    if !path.exists() {
        return Err(wrong(format!("is missing, the kernel of {place}")));
    }
    let kernel = Kernel::read_npy(&path)?;
    let another = |what: &str, found: &dyn std::fmt::Display, column: &str, said: &dyn std::fmt::Display| {
        wrong(format!("{what} is {found}, but {column} is {said} at {place}: is it of another run?"))
    };
    let (images, bits) = (kernel.images() as u64, u64::from(kernel.activations()));
    match (network.integer("batch_size"), network.integer("activations")) {
        (Some(said), _) if said != images => return Err(another("N", &images, "batch_size", &said)),
        (_, Some(said)) if said != bits => return Err(another("N_A", &bits, "activations", &said)),
        _ => {}
    }
    let (log_det, score) = (kernel.log_det(), network.score().unwrap_or(f64::NAN));
    if log_det == score || (log_det - score).abs() <= TOLERANCE {
        Ok(kernel)
    } else {
        Err(another("log |det K|", &log_det, "score", &score))
    }
}
