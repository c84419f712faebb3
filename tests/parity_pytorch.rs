//! Scores are those of PyTorch: the cases of `tests/reference`, made by the public code's definition in f64.

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;

use common::checkpoint::shapes;
use common::harness::{Requirement, needs, run};
use common::reference::{CASES, Case};
use libtest_mimic::Trial;
use naswot::{Agreement, Backend, Batch, Checkpoint, Convention, Precision, Space};

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = Vec::new();
    for case in CASES {
        for precision in [Precision::F64, Precision::F32] {
            trials.push(needs(Requirement::Reference, &format!("{case}_in_{precision}"), move |folder| {
                let case = Case::read(&folder.join(case))?;
                case.agrees(&Backend::Cpu, precision)?;
                case.agrees_in_patterns(|builder| builder.backend(Backend::Cpu), precision)?;
                case.agrees_in_features(|builder| builder.backend(Backend::Cpu), precision)
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
    trials.push(needs(Requirement::Reference, "kernels_of_pytorch_score_as_in_pytorch", |folder| {
        CASES.iter().try_for_each(|case| kernel_scores_alike(&folder.join(case)))
    }));
    trials.push(needs(Requirement::Reference, "the_reference_batches_load", |folder| {
        for case in CASES {
            assert_eq!(Batch::npy(folder.join(case).join("batch.npy"))?.shape()[1..], [3, 32, 32], "{case}");
        }
        Ok(())
    }));
    trials.push(needs(Requirement::Reference, "the_reference_checkpoints_load", |folder| {
        for case in CASES {
            let checkpoint = Checkpoint::load(folder.join(case).join("weights.safetensors"))?;
            assert!(checkpoint.names().any(|name| name == "classifier.weight"), "{case}");
        }
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

/// K as PyTorch has it has PyTorch's score.
fn kernel_scores_alike(folder: &Path) -> Result<(), Box<dyn Error>> {
    let npy = npyz::NpyFile::new(File::open(folder.join("k.npy"))?)?;
    let images = npy.shape()[0] as usize;
    let k: Vec<u32> = npy.into_vec::<i64>()?.into_iter().map(u32::try_from).collect::<Result<_, _>>()?;
    let kernel = Agreement::new(images, k)?;
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(folder.join("score.json"))?)?;
    assert_eq!(json["activations"], kernel.activations(), "{}", folder.display());
    match json["score"].as_f64() {
        Some(score) => assert!((kernel.log_det() - score).abs() < 1e-10 * score, "{}", folder.display()),
        None => assert_eq!(kernel.log_det(), f64::NEG_INFINITY, "{}", folder.display()),
    }
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
