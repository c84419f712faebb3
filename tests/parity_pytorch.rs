//! Scores are those of PyTorch: the cases of `tests/reference`, made by the public code's definition in f64.

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use common::checkpoint::shapes;
use common::harness::{Requirement, needs, run};
use common::reference::{CASES, Case};
use libtest_mimic::Trial;
use naswot::{Backend, Convention, Precision, Space};

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = Vec::new();
    for case in CASES {
        for precision in [Precision::F64, Precision::F32] {
            trials.push(needs(Requirement::Reference, &format!("{case}_in_{precision}"), move |folder| {
                Case::read(&folder.join(case))?.agrees(&Backend::Cpu, precision)
            }));
        }
    }
    for case in CASES {
        trials.push(needs(Requirement::Reference, &format!("{case}_parameters"), move |folder| {
            parameters_agree(&folder.join(case))
        }));
    }
    trials.push(needs(Requirement::Reference, "every_case_is_tested", |folder| {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        found.sort();
        assert_eq!(found, CASES);
        Ok(())
    }));
    trials.push(needs(Requirement::Reference, "the_original_convention_counts_blocks_twice", |folder| {
        original_counts_blocks_twice(&folder.join("nb201_mixed"))
    }));
    run(trials)
}

/// The network's parameters have the names and shapes of PyTorch's, and there are as many.
fn parameters_agree(folder: &Path) -> Result<(), Box<dyn Error>> {
    let network = Case::read(folder)?.network()?;
    let file = fs::read(folder.join("weights.safetensors"))?;
    let theirs: BTreeMap<String, Vec<usize>> = safetensors::SafeTensors::deserialize(&file)?
        .iter()
        .filter(|(name, _)| !name.starts_with("classifier."))
        .map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec()))
        .collect();
    let ours: BTreeMap<String, Vec<usize>> = shapes(network.graph()).into_iter().collect();
    assert_eq!(ours, theirs);
    Ok(())
}

/// N_A of the closed form, and K = 2 K_relu less the last ReLU, which counts once.
fn original_counts_blocks_twice(folder: &Path) -> Result<(), Box<dyn Error>> {
    let case = Case::read(folder)?;
    assert_eq!(case.architecture.space(), Space::NasBench201);
    let relu = case.score(&Backend::Cpu, Precision::F64, Convention::Relu)?;
    let original = case.score(&Backend::Cpu, Precision::F64, Convention::Original)?;
    let last = 64 * 8 * 8;
    assert_eq!(relu.activations, case.activations);
    assert_eq!(original.activations, 2 * case.activations - last);
    let (relu, original) = (relu.kernel.ok_or("no kernel")?, original.kernel.ok_or("no kernel")?);
    for (&once, &twice) in relu.as_slice().iter().zip(original.as_slice()) {
        let last_agreement = 2 * u64::from(once) - u64::from(twice);
        assert!(last_agreement <= last, "the last ReLU has {last} bits, {last_agreement} of them agree");
    }
    Ok(())
}
