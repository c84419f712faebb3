//! Initial weights, noise and repeats: what they change, and that they are what they are called.

mod common;

use common::networks::{mixed, noise};
use naswot::{
    Batch, Checkpoint, Initializer, Network, Precision, Scorer, ScorerBuilder, SkeletonSettings, Space,
    Weights,
};

fn scores(builder: ScorerBuilder, networks: &[Network]) -> Vec<f64> {
    let scores = builder.build().unwrap().score_all(networks);
    scores.into_iter().map(|score| score.unwrap().log_det).collect()
}

fn builder(batch: &Batch) -> ScorerBuilder {
    Scorer::builder(batch.clone()).precision(Precision::F64)
}

#[test]
fn a_repeated_score_is_the_mean_over_its_seeds() {
    let (batch, networks) = (noise(4, 0), mixed(6));
    let seed = 41;
    let alone: Vec<Vec<f64>> = (0..3)
        .map(|repeat| scores(builder(&batch).weights(Weights::Seeded { seed: seed + repeat }), &networks))
        .collect();
    let scorer = builder(&batch).weights(Weights::Seeded { seed }).repeats(3).build().unwrap();
    assert_eq!((scorer.settings().repeats, scorer.settings().seed), (3, Some(seed)));
    let streamed = scorer.stream(networks.clone()).map(Result::unwrap);
    let together = scorer.score_all(&networks).into_iter().map(Result::unwrap);
    for (i, (a, b)) in streamed.zip(together).enumerate() {
        assert_eq!((a.log_det, a.deviation), (b.log_det, b.deviation));
        let own: Vec<f64> = alone.iter().map(|scores| scores[i]).collect();
        let mean = own.iter().sum::<f64>() / 3.0;
        assert_eq!(a.log_det, mean);
        if mean.is_finite() {
            let variance = own.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 2.0;
            assert!((a.deviation.unwrap() - variance.sqrt()).abs() < 1e-12);
        } else {
            assert_eq!(a.deviation, None);
        }
    }
    assert_eq!(builder(&batch).build().unwrap().score(&networks[0]).unwrap().deviation, None);
}

#[test]
fn one_singular_kernel_makes_the_mean_minus_infinity() {
    // Of a narrow cell on two images some seeds give equal codes, others not.
    let batch = Batch::new([2, 3, 8, 8], [vec![0.5; 192], vec![0.4; 192]].concat()).unwrap();
    let networks: Vec<Network> = Space::NasBench201
        .all()
        .unwrap()
        .step_by(331)
        .map(|architecture| {
            architecture.network(&SkeletonSettings { stem: Some(1), cells: Some(1) }).unwrap()
        })
        .collect();
    let seeds = |seed| scores(builder(&batch).weights(Weights::Seeded { seed }), &networks);
    let (zero, one, both) = (seeds(0), seeds(1), scores(builder(&batch).repeats(2), &networks));
    let mut mixed = 0;
    for ((zero, one), both) in zero.iter().zip(&one).zip(&both) {
        assert_eq!(both.is_finite(), zero.is_finite() && one.is_finite());
        mixed += usize::from(zero.is_finite() != one.is_finite());
    }
    assert!(mixed > 0, "no network is singular for one seed alone");
}

#[test]
fn initializers_are_those_of_pytorch() {
    // torch.nn.init on a weight of 72 x 3 x 3 x 3: the deviations of its documentation.
    let deviations = [2.0 / 648.0, 1.0 / (3.0 * 27.0), 2.0 / 27.0, 2.0 / 675.0, 2.0 / 675.0, 1.0];
    for (initializer, variance) in Initializer::ALL.into_iter().zip(deviations) {
        assert!(
            (initializer.standard_deviation(27, 648) - f64::sqrt(variance)).abs() < 1e-15,
            "{initializer:?}"
        );
    }
    let (batch, networks) = (noise(6, 1), mixed(8));
    let own = scores(builder(&batch), &networks);
    let with = |initializer| scores(builder(&batch).initializer(initializer), &networks);
    // Each space's own initializer by its name is no other one, for the networks of that space.
    for (initializer, first) in [(Initializer::KaimingNormalFanOut, 0), (Initializer::UniformFanIn, 1)] {
        let named = with(initializer);
        for i in (first..8).step_by(2) {
            assert_eq!(named[i], own[i]);
        }
    }
    // Batch norm takes the scale away, but for its eps: NAS-Bench-101 has one behind every convolution.
    let (kaiming, xavier, uniform) =
        (with(Initializer::KaimingNormal), with(Initializer::XavierNormal), with(Initializer::XavierUniform));
    for i in (0..8).step_by(2) {
        assert!((kaiming[i] - xavier[i]).abs() < 0.05, "{} {}", kaiming[i], xavier[i]);
        assert_ne!(xavier[i], uniform[i]);
    }
    let scorer = builder(&batch).initializer(Initializer::Normal).build().unwrap();
    assert_eq!(scorer.settings().initializer, "normal");
    assert_ne!(scorer.plan(&networks[0]).unwrap().to_string(), "");
}

#[test]
fn what_cannot_be_repeated_is_refused() {
    let batch = noise(2, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let header = r#"{"stem.0.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat())
        .unwrap();
    let checkpoint = || builder(&batch).weights(Weights::Checkpoint(Checkpoint::load(&path).unwrap()));
    let last = builder(&batch).weights(Weights::Seeded { seed: u64::MAX });
    for (builder, message) in [
        (builder(&batch).repeats(0), "repeats: is zero"),
        (
            builder(&batch).repeats(2).keep_kernels(true),
            "repeats: K of several seeds cannot be kept: keep it of one",
        ),
        (checkpoint().repeats(2), "repeats: a checkpoint has its own weights, which no seed makes"),
        (
            checkpoint().initializer(Initializer::Normal),
            "initializer: a checkpoint has its own weights, which no seed makes",
        ),
        (last.clone().repeats(2), "repeats: 2 seeds from 18446744073709551615 up pass the largest one"),
    ] {
        assert_eq!(builder.build().map(drop).unwrap_err().to_string(), message);
    }
    assert!(last.build().is_ok() && checkpoint().build().is_ok());
}
