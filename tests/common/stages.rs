//! Bounds on how far a device may be from the CPU.

use std::error::Error;

use naswot::testing::{Case, Deviation};
use naswot::{Agreement, Batch, Network, Scorer, Weights};

use super::checkpoint::{checkpoint, shapes};
use super::graphs::Noise;
use super::naive::Parameters;
use super::networks::mixed;

/// Share of code bits that may differ where numbers do by rounding.
const BITS: f64 = 1e-3;
/// Code bits of a set that may differ, however small its codes are.
const FEW_BITS: usize = 8;

/// Each stage does what its twin does.
pub fn follows(deviations: Vec<Deviation>, seed: u64) -> Result<(), Box<dyn Error>> {
    for Deviation { stage, numbers, bits, strays } in deviations {
        let tolerance = Case::tolerance(stage);
        assert!(strays.is_empty(), "{}, seed {seed}: {strays:#?}", stage.name());
        assert!(numbers <= tolerance, "{}, seed {seed}: {numbers:e} off, over {tolerance:e}", stage.name());
        assert!(bits <= BITS, "{}, seed {seed}: {bits:e} of the bits differ", stage.name());
        println!("{}: {numbers:e} {bits:e}", stage.name());
    }
    Ok(())
}

/// Whether each stage does what its twin does.
pub fn is_sound(deviations: &[Deviation]) -> bool {
    deviations.iter().all(|Deviation { stage, numbers, bits, strays }| {
        strays.is_empty() && *numbers <= Case::tolerance(*stage) && *bits <= BITS
    })
}

/// A network, a batch, and a checkpoint some of whose gammas and betas are negative or zero.
pub fn affine(seed: u64) -> naswot::Result<(Network, Batch, Weights)> {
    let network: Network = mixed(1).remove(0);
    let mut noise = Noise(seed);
    let shapes = shapes(network.graph());
    let parameters: Parameters = shapes
        .iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let mut numbers: Vec<f32> = (0..count).map(|_| noise.number()).collect();
            if shape.len() == 1 {
                numbers.iter_mut().step_by(5).for_each(|number| *number = 0.0);
            }
            (name.clone(), numbers)
        })
        .collect();
    let weights = Weights::Checkpoint(checkpoint(&shapes, &parameters));
    let images = (0..4 * 3 * 64).map(|_| noise.number()).collect();
    Ok((network, Batch::new([4, 3, 8, 8], images)?, weights))
}

/// What of a network's score is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub kernel: Agreement,
    pub log_det: f64,
    pub swap: Option<f64>,
}

/// K of each network, and its scores.
pub fn kernels(scorer: &Scorer, networks: &[Network]) -> Result<Vec<Scored>, Box<dyn Error>> {
    let kernel = |score: naswot::Result<naswot::Score>| -> Result<Scored, Box<dyn Error>> {
        let score = score?;
        let swap = score.get("swap");
        Ok(Scored { kernel: score.kernel.ok_or("no kernel")?, log_det: score.log_det, swap })
    };
    scorer.score_all(networks).into_iter().map(kernel).collect()
}

/// The design's criterion: sum |K - K_ref| <= 1e-5 N N N_A over a set, and each score within 1e-3 of log|det K|. In sets
/// whose codes are small, a few inputs that lie next to zero may change side.
pub fn agree(networks: &[Network], ours: &[Scored], reference: &[Scored]) {
    let (mut difference, mut all, mut few) = (0.0, 0.0, 0.0_f64);
    for ((network, ours), reference) in networks.iter().zip(ours).zip(reference) {
        let (kernel, expected) = (&ours.kernel, &reference.kernel);
        let pairs = kernel.as_slice().iter().zip(expected.as_slice());
        difference += pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
        all += kernel.as_slice().len() as f64 * f64::from(kernel.activations());
        // A bit is compared with those of all other images, twice.
        few = few.max((FEW_BITS * 2 * (kernel.images() - 1)) as f64);
        let (score, expected) = (ours.log_det, kernel.log_det());
        let close = (score - expected).abs() <= 1e-3 || score == expected;
        assert!(close, "{}: {score}, and {expected} of its K", network.id());
    }
    let most = few.max(1e-5 * all);
    assert!(difference <= most, "K differs by {difference}, over {most}");
}
