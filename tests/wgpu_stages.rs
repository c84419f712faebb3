//! Every shader does what its twin on the CPU does: launch by launch, from equal buffers, which are compared as wholes.

mod common;

use std::process::ExitCode;
use std::time::SystemTime;

use common::harness::{Requirement, needs, run};
use common::networks::{mixed, noise};
use common::stages::{affine, follows};
use naswot::testing::{cases, lockstep};
use naswot::{Convention, Weights};

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
        move |_| {
            let (network, batch, weights) = affine(seed)?;
            follows(lockstep(None, &[network], &batch, &weights, Convention::Relu)?, seed)
        },
    ));
    run(trials)
}
