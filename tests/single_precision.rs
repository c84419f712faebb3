//! Single precision on the CPU against double precision, over the standard cells of both spaces: every form that
//! the fast path takes on this machine. Every fourth cell, or as many as `NASWOT_CELLS` says of 200.

mod common;

use common::networks::workload;
use naswot::{Batch, Network, Precision, Score, Scorer, ScorerBuilder, SkeletonSettings};

/// Allowed |K - K_ref|, summed over all networks and entries, of N_A each.
const KERNEL: f64 = 1e-5;
/// Allowed difference of a score.
const SCORE: f64 = 1e-3;

fn builder(images: usize, precision: Precision) -> ScorerBuilder {
    Scorer::builder(Batch::synthetic(images, 0).unwrap()).precision(precision).keep_kernels(true)
}

fn networks(space: &str) -> Vec<Network> {
    let asked = std::env::var("NASWOT_CELLS").ok().and_then(|cells| cells.parse().ok());
    let cells = workload(space);
    let step = cells.len() / asked.unwrap_or(50usize).clamp(1, cells.len());
    cells.iter().step_by(step).map(|cell| cell.network(&SkeletonSettings::default()).unwrap()).collect()
}

fn all(scorer: &Scorer, networks: &[Network]) -> Vec<Score> {
    scorer.score_all(networks).into_iter().map(Result::unwrap).collect()
}

/// All that a score is made of.
fn bits(score: &Score) -> (u64, &[u32]) {
    (score.log_det.to_bits(), score.kernel.as_ref().unwrap().as_slice())
}

/// One test, since it chooses the form by the environment.
#[test]
fn every_form_agrees_with_double_precision() {
    for space in ["nasbench101", "nasbench201"] {
        let all_networks = networks(space);
        // 37 images leave lanes without an image in the last block of every form; 7 fit one vector of the wide ones.
        for (images, networks) in
            [(32, &all_networks[..]), (37, &all_networks), (7, &all_networks[..all_networks.len().min(12)])]
        {
            let expected = all(&builder(images, Precision::F64).build().unwrap(), networks);
            let mut forms = 0;
            for form in ["avx512", "avx2", "neon", "portable"] {
                // SAFETY: no other thread runs: this is the only test here, and no scorer is open.
                unsafe { std::env::set_var("NASWOT_SIMD", form) };
                let Ok(scorer) = builder(images, Precision::F32).threads(2).build() else { continue };
                forms += 1;
                let scores = all(&scorer, networks);
                compare(&format!("{space}, N = {images}, {form}"), &scores, &expected);
                drop(scorer);
                same_bits(images, &networks[..networks.len().min(12)], &scores);
            }
            assert!(forms > 0, "the portable form works everywhere");
        }
    }
}

fn compare(what: &str, scores: &[Score], expected: &[Score]) {
    let (mut apart, mut of, mut worst) = (0.0, 0.0, 0.0f64);
    for (score, expected) in scores.iter().zip(expected) {
        assert_eq!(score.activations, expected.activations);
        assert_eq!(score.log_det.is_finite(), expected.log_det.is_finite(), "{what}");
        let kernels = [score, expected].map(|score| score.kernel.as_ref().unwrap().as_slice());
        apart += kernels[0].iter().zip(kernels[1]).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
        of += (kernels[0].len() as u64 * expected.activations) as f64;
        if expected.log_det.is_finite() {
            worst = worst.max((score.log_det - expected.log_det).abs());
        }
    }
    println!("{what}: |dK| {:.1e} of N_A, score within {worst:.1e}", apart / of);
    assert!(apart <= KERNEL * of, "{what}: |dK| is {:e} of N_A", apart / of);
    assert!(worst <= SCORE, "{what}: a score is off by {worst:e}");
}

/// Threads, which share networks or the images of one, and groups change no bit.
fn same_bits(images: usize, networks: &[Network], expected: &[Score]) {
    let alone = builder(images, Precision::F32).threads(1).build().unwrap();
    let groups = builder(images, Precision::F32).threads(2).group_size(5).build().unwrap();
    let shared = builder(images, Precision::F32).threads(2).build().unwrap();
    let scores = [
        all(&alone, networks),
        all(&groups, networks),
        networks.iter().map(|network| shared.score(network).unwrap()).collect(),
    ];
    for scores in scores {
        for ((score, expected), network) in scores.iter().zip(expected).zip(networks) {
            assert_eq!(bits(score), bits(expected), "{}", network.id());
        }
    }
}
