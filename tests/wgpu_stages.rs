//! Every shader does what its twin on the CPU does: launch by launch, from equal buffers, which are compared as wholes.

mod common;

use std::error::Error;
use std::process::ExitCode;
use std::time::SystemTime;

use common::checkpoint::{checkpoint, shapes};
use common::graphs::Noise;
use common::harness::{Requirement, needs, run};
use common::naive::Parameters;
use common::networks::{mixed, noise};
use naswot::measure::{Case, Deviation, cases, lockstep};
use naswot::{Batch, Convention, Network, Weights};

/// Share of code bits that may differ where numbers do by rounding.
const BITS: f64 = 1e-3;

fn main() -> ExitCode {
    // Other random shapes each time; a failure names them.
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let mut trials = Vec::new();
    for case in cases(seed).unwrap() {
        let name = format!("{}: {}", case.stage.name(), case.name);
        trials.push(needs(Requirement::Wgpu, &name, move |_| {
            let weights = Weights::Seeded { seed };
            let batch = case.batch(seed)?;
            let networks = std::slice::from_ref(&case.network);
            follows(lockstep(None, networks, &batch, &weights, case.convention)?, seed)
        }));
    }
    for convention in [Convention::Relu, Convention::Original] {
        let name = format!("a group of both spaces, {} convention", convention.name());
        trials.push(needs(Requirement::Wgpu, &name, move |_| {
            let weights = Weights::Seeded { seed };
            follows(lockstep(None, &mixed(6), &noise(3, seed), &weights, convention)?, seed)
        }));
    }
    trials.push(needs(
        Requirement::Wgpu,
        "gammas and betas of a checkpoint, some negative or zero",
        move |_| affine(seed),
    ));
    run(trials)
}

fn follows(deviations: Vec<Deviation>, seed: u64) -> Result<(), Box<dyn Error>> {
    for Deviation { stage, numbers, bits, strays } in deviations {
        let tolerance = Case::tolerance(stage);
        assert!(strays.is_empty(), "{}, seed {seed}: {strays:#?}", stage.name());
        assert!(numbers <= tolerance, "{}, seed {seed}: {numbers:e} off, over {tolerance:e}", stage.name());
        assert!(bits <= BITS, "{}, seed {seed}: {bits:e} of the bits differ", stage.name());
        println!("{}: {numbers:e} {bits:e}", stage.name());
    }
    Ok(())
}

fn affine(seed: u64) -> Result<(), Box<dyn Error>> {
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
    let batch = Batch::new([4, 3, 8, 8], images)?;
    follows(lockstep(None, &[network], &batch, &weights, Convention::Relu)?, seed)
}
