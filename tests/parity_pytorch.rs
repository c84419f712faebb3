//! Scores are those of PyTorch: the cases of `tests/reference`, made by the public code's definition in f64.

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use common::checkpoint::shapes;
use common::harness::{Requirement, needs, run};
use libtest_mimic::Trial;
use naswot::{Architecture, Batch, Checkpoint, Convention, Network, Precision, Scorer, Space, Weights};

const CASES: [&str; 9] = [
    "nb101_affine",
    "nb101_blog_example",
    "nb101_conv3x3",
    "nb101_inplace_edge",
    "nb101_projection_stem128",
    "nb101_truncation",
    "nb201_dead_branch",
    "nb201_disconnected",
    "nb201_mixed",
];

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = Vec::new();
    for case in CASES {
        for precision in [Precision::F64, Precision::F32] {
            trials.push(needs(Requirement::Reference, &format!("{case}_in_{precision}"), move |folder| {
                agrees(&folder.join(case), precision)
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

/// A case as PyTorch left it.
struct Case {
    architecture: Architecture,
    stem: usize,
    batch: Batch,
    weights: Checkpoint,
    activations: u64,
    /// None where K is singular.
    score: Option<f64>,
    kernel: Vec<i64>,
}

impl Case {
    fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let score: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("score.json"))?)?;
        assert!(score["score"].is_f64() || score["score"] == "-inf");
        Ok(Case {
            architecture: Architecture::from_json(&score["arch"].to_string())?,
            stem: serde_json::from_value(score["stem"].clone())?,
            batch: Batch::npy(folder.join("batch.npy"))?,
            weights: Checkpoint::load(folder.join("weights.safetensors"))?,
            activations: score["activations"].as_u64().ok_or("no activations")?,
            score: score["score"].as_f64(),
            kernel: npyz::NpyFile::new(&fs::read(folder.join("k.npy"))?[..])?.into_vec()?,
        })
    }

    fn network(&self) -> naswot::Result<Network> {
        self.architecture.network(self.stem, None)
    }

    fn score(&self, precision: Precision, convention: Convention) -> Result<naswot::Score, Box<dyn Error>> {
        let scorer = Scorer::builder(self.batch.clone())
            .weights(Weights::Checkpoint(self.weights.clone()))
            .precision(precision)
            .convention(convention)
            .keep_kernels(true)
            .build()?;
        Ok(scorer.score(&self.network()?)?)
    }
}

/// In f64 K is PyTorch's, entry for entry; in f32 signs near zero may differ, within the promised bound.
fn agrees(folder: &Path, precision: Precision) -> Result<(), Box<dyn Error>> {
    let case = Case::read(folder)?;
    let score = case.score(precision, Convention::Relu)?;
    assert_eq!(score.activations, case.activations);
    let kernel = score.kernel.ok_or("no kernel")?;
    let n = kernel.images();
    assert_eq!(n, case.batch.len());
    assert!((0..n).all(|i| kernel.get(i, i).map(u64::from) == Some(case.activations)));
    let ours = kernel.as_slice().iter().map(|&entry| i64::from(entry));
    let difference: u64 = ours.zip(&case.kernel).map(|(a, b)| a.abs_diff(*b)).sum();
    let (most, tolerance) = match precision {
        Precision::F64 => (0.0, case.score.unwrap_or(0.0).abs() * 1e-9),
        _ => (1e-5 * (n * n) as f64 * case.activations as f64, 1e-3),
    };
    assert!(difference as f64 <= most, "K differs by {difference} in all, over {most}");
    match case.score {
        Some(expected) => {
            let error = (score.log_det - expected).abs();
            assert!(error <= tolerance, "{} is {error:e} off {expected}", score.log_det);
        }
        None => assert_eq!(score.log_det, f64::NEG_INFINITY),
    }
    Ok(())
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
    let relu = case.score(Precision::F64, Convention::Relu)?;
    let original = case.score(Precision::F64, Convention::Original)?;
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
