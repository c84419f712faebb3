//! What a user can rely on of scores of features: what they are on graphs that can be reckoned by hand, that they change nothing
//! else, and that they depend on nothing that they should not.

mod common;

use common::networks::{mixed, noise};
use naswot::{
    Backend, Batch, Conv, Graph, GraphBuilder, Network, NodeId, Precision, Result, Score, Scorer,
    ScorerBuilder, Scores, Window,
};

const FEATURES: [&str; 3] = ["meco", "expressivity", "progressivity"];

fn builder(batch: &Batch) -> ScorerBuilder {
    Scorer::builder(batch.clone()).backend(Backend::Cpu)
}

fn all(builder: ScorerBuilder, networks: &[Network]) -> Vec<Score> {
    builder.build().unwrap().score_all(networks).into_iter().map(Result::unwrap).collect()
}

/// The bits of each score of features of each network.
fn bits(builder: ScorerBuilder, networks: &[Network]) -> Vec<[u64; 3]> {
    let scores = all(builder.scores(Scores::all()), networks);
    scores.iter().map(|score| FEATURES.map(|name| score.get(name).unwrap().to_bits())).collect()
}

/// Images of so many channels of 4 x 4 numbers, some below zero.
fn images(count: usize, channels: usize) -> Batch {
    let numbers = noise(count, 3);
    let numbers = numbers.data()[..count * channels * 16].to_vec();
    Batch::new([count, channels, 4, 4], numbers).unwrap()
}

/// A network of a graph, and scores of features in f64.
fn features(batch: &Batch, build: impl FnOnce(&mut GraphBuilder) -> Result<NodeId>) -> [f64; 3] {
    let mut g = Graph::builder(batch.shape()[1]).unwrap();
    let output = build(&mut g).unwrap();
    let network = Network::from_graph("graph", g.output(output).unwrap());
    let [single, double] = [Precision::F32, Precision::F64].map(|precision| {
        let scorer = builder(batch).precision(precision).scores(Scores::all()).build().unwrap();
        let score = scorer.score(&network).unwrap();
        FEATURES.map(|name| score.get(name).unwrap())
    });
    for (single, double) in single.into_iter().zip(double) {
        assert!(single == double || (single - double).abs() < 1e-4, "{single}, in f64 {double}");
    }
    double
}

/// Covariance of two channels of a batch, [variance, covariance, variance], of what a function makes of each number.
fn covariance(batch: &Batch, of: impl Fn(f32) -> f64) -> [f64; 3] {
    let channel = |c: usize| -> Vec<f64> {
        let images = batch.data().chunks(2 * 16);
        images.flat_map(|image| &image[16 * c..][..16]).map(|&x| of(x)).collect()
    };
    let channels = [channel(0), channel(1)];
    let n = channels[0].len() as f64;
    let means = channels.each_ref().map(|x| x.iter().sum::<f64>() / n);
    let product = |a: usize, b: usize| {
        let pairs = channels[a].iter().zip(&channels[b]);
        pairs.map(|(x, y)| (x - means[a]) * (y - means[b])).sum::<f64>() / n
    };
    [product(0, 0), product(0, 1), product(1, 1)]
}

/// The entropy of a 2 x 2 covariance's spectrum.
fn entropy([a, b, c]: [f64; 3]) -> f64 {
    let (mean, root) = ((a + c) / 2.0, ((a - c).powi(2) / 4.0 + b * b).sqrt());
    let shares = [mean - root, mean + root].map(|value| value / (a + c));
    -shares.iter().map(|p| p * p.ln()).sum::<f64>()
}

fn close(ours: [f64; 3], expected: [f64; 3]) {
    for (name, (ours, expected)) in FEATURES.iter().zip(ours.into_iter().zip(expected)) {
        assert!(ours == expected || (ours - expected).abs() < 1e-10, "{name}: {ours}, not {expected}");
    }
}

#[test]
fn two_channels_are_as_reckoned_by_hand() {
    let batch = images(5, 2);
    let (image, relu) = (covariance(&batch, f64::from), covariance(&batch, |x| f64::from(x.max(0.0))));
    let least = 1.0 - relu[1].abs() / (relu[0] * relu[2]).sqrt();
    let [first, second] = [entropy(image), entropy(relu)];
    let ours = features(&batch, |g| {
        let relu = g.relu(g.input())?;
        g.mark(g.input())?;
        g.mark(relu)?;
        Ok(relu)
    });
    close(ours, [least, first + second, second - first]);
    // A cell that hands on its input is a mark again; one that is not read is none.
    let ours = features(&batch, |g| {
        let relu = g.relu(g.input())?;
        g.mark(g.input())?;
        let unread = g.max_pool(relu, Window::new(2, 2, 0))?;
        g.mark(unread)?;
        g.mark(relu)?;
        g.mark(relu)?;
        Ok(relu)
    });
    close(ours, [2.0 * least, first + 2.0 * second, (second - first).min(0.0)]);
}

#[test]
fn a_constant_mark_makes_scores_of_entropies_negative_infinity() {
    let batch = images(4, 2);
    let lowest = f64::NEG_INFINITY;
    let ours = features(&batch, |g| {
        let relu = g.relu(g.input())?;
        g.mark(relu)?;
        let zero = g.zero(relu)?;
        g.mark(zero)?;
        g.add(&[relu, zero])
    });
    close(ours, [0.0, lowest, lowest]);
    // A channel that is constant is a row of zeros: what is left has one dimension.
    let ours = features(&batch, |g| {
        let first = g.slice(g.input(), 1)?;
        let zero = g.zero(first)?;
        let both = g.concat(&[first, zero])?;
        let relu = g.relu(both)?;
        g.mark(both)?;
        g.mark(relu)?;
        Ok(relu)
    });
    close(ours, [0.0, 0.0, 0.0]);
    // Nothing to compare with.
    let ours = features(&batch, |g| {
        let relu = g.relu(g.input())?;
        g.mark(relu)?;
        Ok(relu)
    });
    close(ours, [0.0, entropy(covariance(&batch, |x| f64::from(x.max(0.0)))), lowest]);
}

/// Outputs of a 1x1 convolution lie in as many dimensions as it has inputs: of more of them the least eigenvalue is 0.
#[test]
fn convolutions_count_with_dead_branches_and_without_those_that_cannot_have_full_rank() {
    let batch = images(6, 2);
    let least = |outputs: &[usize], is_dead: bool| {
        features(&batch, |g| {
            let mut x = g.relu(g.input())?;
            for (i, &channels) in outputs.iter().enumerate() {
                let conv = g.conv(g.input(), Conv::new(channels, 1), &format!("conv{i}"))?;
                let conv = if is_dead { g.zero(conv)? } else { conv };
                let conv = g.slice(conv, 1)?;
                let first = g.slice(x, 1)?;
                x = g.add(&[first, conv])?;
            }
            Ok(x)
        })[0]
    };
    assert_eq!(least(&[3], false), 0.0);
    let one = least(&[2], false);
    assert!(one > 0.0 && one < 1.0, "{one}");
    assert_eq!(least(&[2], true), one);
    assert!((least(&[2, 4], true) - one).abs() < 1e-12);
    // One channel has the eigenvalue 1.
    assert_eq!(least(&[1, 1], true), 2.0);
}

#[test]
fn asking_for_more_changes_no_bit_of_k() {
    let (batch, networks) = (noise(19, 1), mixed(60));
    for precision in [Precision::F32, Precision::F64] {
        let scores = |scores: &str| {
            let builder =
                builder(&batch).precision(precision).keep_kernels(true).scores(scores.parse().unwrap());
            let scores = all(builder, &networks);
            scores.into_iter().map(|score| (score.log_det.to_bits(), score.kernel)).collect::<Vec<_>>()
        };
        let plain = scores("nwot");
        for more in FEATURES {
            assert_eq!(scores(more), plain, "{more} in {precision}");
        }
    }
}

#[test]
fn they_depend_neither_on_threads_nor_on_groups_nor_on_each_other() {
    let (batch, networks) = (noise(19, 1), mixed(24));
    let alone = bits(builder(&batch).threads(1), &networks);
    assert_eq!(bits(builder(&batch).threads(2).group_size(5), &networks), alone);
    let shared = builder(&batch).threads(2).scores(Scores::all()).build().unwrap();
    for (network, expected) in networks.iter().zip(&alone) {
        let score = shared.score(network).unwrap();
        assert_eq!(FEATURES.map(|name| score.get(name).unwrap().to_bits()), *expected);
    }
    for (position, name) in FEATURES.into_iter().enumerate() {
        let scores = all(builder(&batch).scores(name.parse().unwrap()), &networks);
        for (score, expected) in scores.iter().zip(&alone) {
            assert_eq!(score.get(name).unwrap().to_bits(), expected[position], "{name} of {}", score.id);
            assert!(FEATURES.iter().all(|&other| other == name || score.get(other).is_none()));
        }
    }
}

/// Batches of less and of more than a vector, one of which leaves lanes without an image.
#[test]
fn precisions_agree() {
    let networks = mixed(60);
    for n in [2, 5, 8, 19, 32] {
        let batch = noise(n, 5);
        let [single, double] = [Precision::F32, Precision::F64]
            .map(|precision| all(builder(&batch).precision(precision).scores(Scores::all()), &networks));
        for (single, double) in single.iter().zip(&double) {
            for name in FEATURES {
                let [single, double] = [single, double].map(|score| score.get(name).unwrap());
                let is_close = single == double || (single - double).abs() < 1e-3;
                assert!(is_close, "{name} of {n} images: {single}, in f64 {double}");
            }
        }
    }
}

#[test]
fn gpus_refuse_them_by_name() {
    for backend in ["cuda", "wgpu"] {
        let builder =
            Scorer::builder(noise(2, 0)).backend(backend.parse().unwrap()).scores("meco".parse().unwrap());
        let error = builder.build().err().unwrap().to_string();
        assert_eq!(
            error,
            format!("scores: `meco` is computed on the cpu alone so far: take that backend, not {backend}")
        );
    }
}
