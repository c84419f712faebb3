//! The CUDA kernels, run on the CPU with blocks and threads in random order, do what their twins do; so does the whole
//! backend around them. Three builds look for wrong results, for accesses outside memory, and for races.

mod common;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use common::harness::{Requirement, needs, needs_all, run};
use common::networks::{mixed, noise};
use common::reference::{CASES, Case};
use common::shim::{Build, Shim, host};
use common::stages::{affine, agree, follows, kernels};
use naswot::measure::cases;
use naswot::measure::cuda::{Driver, lockstep};
use naswot::{Backend, Batch, Convention, Precision, Scorer, ScorerBuilder, Weights};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    // Other random shapes and orders each time; a failure names them.
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let mut trials = Vec::new();
    for build in Build::ALL {
        let mut add = |name: String, test: Box<dyn FnOnce() -> Outcome + Send>| {
            let name = format!("{}: {name}", build.name());
            trials.push(needs(Requirement::Shim, &name, move |_| test()));
        };
        for case in cases(seed).unwrap() {
            let name = format!("{}: {}", case.stage.name(), case.name);
            let test = move || {
                let weights = Weights::Seeded { seed };
                let (batch, networks) = (case.batch(seed)?, [case.network]);
                follows(lockstep(shim(build, seed)?, &networks, &batch, &weights, case.convention)?, seed)
            };
            add(name, Box::new(test));
        }
        let test = move || {
            let (network, batch, weights) = affine(seed)?;
            follows(lockstep(shim(build, seed)?, &[network], &batch, &weights, Convention::Relu)?, seed)
        };
        add("gammas and betas of a checkpoint".to_owned(), Box::new(test));
        add("groups of 8 score as in f64".to_owned(), Box::new(move || groups_of_8(build, seed)));
    }
    for case in CASES {
        let needed = [Requirement::Reference, Requirement::Shim];
        trials.push(needs_all(&needed, &format!("{case}_as_pytorch_has_it"), move |folder| {
            let device = shim(Build::Plain, seed)?;
            Case::read(&folder.join(case))?.agrees_on(|builder| builder.cuda_driver(device), Precision::F32)
        }));
    }
    run(trials)
}

/// A device of its own.
fn shim(build: Build, seed: u64) -> Result<Arc<dyn Driver>, Box<dyn Error>> {
    Ok(Shim::start(&host(build)?, seed as u32)?)
}

fn cuda(batch: &Batch, device: Arc<dyn Driver>) -> ScorerBuilder {
    Scorer::builder(batch.clone()).cuda_driver(device).keep_kernels(true)
}

fn cpu(batch: &Batch) -> ScorerBuilder {
    Scorer::builder(batch.clone()).backend(Backend::Cpu).precision(Precision::F64).keep_kernels(true)
}

fn groups_of_8(build: Build, seed: u64) -> Outcome {
    let (batch, networks) = (noise(4, seed), mixed(24));
    let scorer = cuda(&batch, shim(build, seed)?).group_size(8).build()?;
    agree(&networks, &kernels(&scorer, &networks)?, &kernels(&cpu(&batch).build()?, &networks)?);
    Ok(())
}
