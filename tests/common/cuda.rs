//! Checks of the CUDA backend that hold on any device, the tests' shim and a real GPU alike.

use std::error::Error;
use std::sync::Arc;

use libtest_mimic::Trial;
use naswot::testing::cases;
use naswot::testing::cuda::{Driver, STREAMS, lockstep};
use naswot::{Backend, Batch, Convention, Network, Precision, Scorer, ScorerBuilder, Scores, Weights};

use super::harness::{Requirement, needs, needs_all};
use super::networks::{mixed, noise};
use super::reference::{CASES, Case};
use super::stages::{Scored, affine, agree, follows, kernels};

pub type Outcome = Result<(), Box<dyn Error>>;

/// Opens a device of its own for a test.
pub type Open = Arc<dyn Fn() -> Result<Arc<dyn Driver>, Box<dyn Error>> + Send + Sync>;

/// Every stage against its twin; groups against f64.
pub fn stages(label: &str, requirement: Requirement, open: &Open, seed: u64) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |name: String, test: Box<dyn FnOnce(Arc<dyn Driver>) -> Outcome + Send>| {
        let (name, open) = (format!("{label}: {name}"), Arc::clone(open));
        trials.push(needs(requirement, &name, move |_| test(open()?)));
    };
    for case in cases(seed).unwrap() {
        let name = format!("{}: {}", case.stage.name(), case.name);
        let test = move |device| {
            let weights = Weights::Seeded { seed };
            let (batch, networks) = (case.batch(seed)?, [case.network]);
            follows(lockstep(device, &networks, &batch, &weights, case.convention)?, seed)
        };
        add(name, Box::new(test));
    }
    let test = move |device| {
        let (network, batch, weights) = affine(seed)?;
        follows(lockstep(device, &[network], &batch, &weights, Convention::Relu)?, seed)
    };
    add("gammas and betas of a checkpoint".to_owned(), Box::new(test));
    let test = move |device| {
        let (batch, networks) = (noise(4, seed), mixed(24));
        let ours = kernels(&cuda(&batch, device).group_size(8).build()?, &networks)?;
        agree(&networks, &ours, &kernels(&cpu(&batch).build()?, &networks)?);
        Ok(())
    };
    add("groups of 8 score as in f64".to_owned(), Box::new(test));
    trials
}

/// The cases of PyTorch.
pub fn reference(requirement: Requirement, open: &Open) -> Vec<Trial> {
    let trial = |case: &'static str| {
        let (open, name) = (Arc::clone(open), format!("{case}_as_pytorch_has_it"));
        needs_all(&[Requirement::Reference, requirement], &name, move |folder| {
            let device = open()?;
            let case = Case::read(&folder.join(case))?;
            case.agrees_on(|builder| builder.cuda_driver(Arc::clone(&device)), Precision::F32)?;
            case.agrees_in_patterns(|builder| builder.cuda_driver(device), Precision::F32)
        })
    };
    CASES.into_iter().map(trial).collect()
}

/// K of each network, and its scores, are the same in groups of these sizes, in other company, and with any number of
/// groups in flight.
pub fn does_not_depend_on_the_group(
    device: &Arc<dyn Driver>,
    networks: &[Network],
    sizes: &[usize],
) -> Outcome {
    let batch = noise(5, 2);
    let score = |size, in_flight, networks: &[Network]| -> Result<Vec<Scored>, Box<dyn Error>> {
        let builder = cuda(&batch, Arc::clone(device)).group_size(size).groups_in_flight(in_flight);
        kernels(&builder.build()?, networks)
    };
    let one = score(1, 1, networks)?;
    let in_flight = (1..=STREAMS - 1).cycle().skip(1);
    for (&size, in_flight) in sizes.iter().zip(in_flight) {
        assert_eq!(score(size, in_flight, networks)?, one, "groups of {size}, {in_flight} in flight");
    }
    let back: Vec<Network> = networks.iter().rev().cloned().collect();
    let mut other = score(5, STREAMS - 1, &back)?;
    other.reverse();
    assert_eq!(other, one);
    Ok(())
}

pub fn cuda(batch: &Batch, device: Arc<dyn Driver>) -> ScorerBuilder {
    Scorer::builder(batch.clone()).cuda_driver(device).scores(Scores::everywhere()).keep_kernels(true)
}

pub fn cpu(batch: &Batch) -> ScorerBuilder {
    Scorer::builder(batch.clone()).backend(Backend::Cpu).precision(Precision::F64).keep_kernels(true)
}
