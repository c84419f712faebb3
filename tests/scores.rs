//! What a user can rely on, whatever the networks: K, and the score made from it.

mod common;

use common::codes::{rebuilt, set_bits};
use common::graphs::Noise;
use common::naive::Parameters;
use common::networks::{mixed, noise, relu_of_the_image};
use common::{checkpoint, naive};
use naswot::nasbench101::Skeleton;
use naswot::{
    Agreement, Batch, Conv, Convention, Error, Graph, Network, Precision, Score, Scorer, ScorerBuilder,
    Weights, nasbench101, nasbench201,
};

fn builder(batch: Batch, precision: Precision) -> ScorerBuilder {
    Scorer::builder(batch).precision(precision).keep_kernels(true)
}

fn scorer(batch: Batch, precision: Precision, threads: usize) -> Scorer {
    builder(batch, precision).threads(threads).build().unwrap()
}

/// All bits of a score.
fn bits(score: &Score) -> (u64, u64, Agreement) {
    (score.log_det.to_bits(), score.activations, score.kernel.clone().unwrap())
}

#[test]
fn codes_say_how_k_was_counted() {
    let batch = noise(5, 3);
    let mut constant = 0;
    for precision in [Precision::F32, Precision::F64] {
        for convention in [Convention::Relu, Convention::Original] {
            let scorer = builder(batch.clone(), precision).convention(convention).keep_codes(true);
            for score in scorer.build().unwrap().score_all(&mixed(30)) {
                let score = score.unwrap();
                let codes = score.codes.unwrap();
                assert_eq!(u64::from(codes.activations()), score.activations);
                assert_eq!(rebuilt(&codes), score.kernel.unwrap().as_slice(), "{}", score.id);
                // Padding has no bits.
                let [all, of_units] = set_bits(&codes);
                assert_eq!(all, of_units);
                constant += codes.constant_bits();
            }
        }
    }
    assert!(constant > 0, "some network has ReLUs of zeros");
}

#[test]
fn scores_can_be_serialized_with_all_that_they_carry() {
    let batch = Batch::new([2, 3, 4, 4], vec![1.0; 96]).unwrap();
    let scorer = builder(batch, Precision::F64).keep_codes(true).build().unwrap();
    let score = scorer.score(&relu_of_the_image()).unwrap();
    let json = serde_json::to_value(&score).unwrap();
    assert_eq!((json["id"].as_str(), json["log_det"].as_str()), (Some("relu"), Some("-inf")));
    assert_eq!(json["kernel"], serde_json::json!([[48, 48], [48, 48]]));
    assert_eq!(json["codes"]["regions"][0]["channels"], serde_json::json!([[0, 3]]));
    let settings = &json["settings"];
    assert_eq!((&settings["precision"], &settings["convention"]), (&"f64".into(), &"relu".into()));
    assert_eq!(serde_json::to_value(scorer.settings().as_ref()).unwrap(), *settings);
}

#[test]
fn k_is_symmetric_and_semidefinite_with_n_a_on_its_diagonal() {
    let batch = noise(9, 1);
    for precision in [Precision::F32, Precision::F64] {
        let scorer = scorer(batch.clone(), precision, 1);
        for network in mixed(30) {
            let score = scorer.score(&network).unwrap();
            let kernel = score.kernel.unwrap();
            assert_eq!(score.activations, network.activations(8, 8, Convention::Relu).unwrap());
            for i in 0..9 {
                assert_eq!(kernel.get(i, i).map(u64::from), Some(score.activations));
                assert!((0..i).all(|j| kernel.get(i, j) == kernel.get(j, i)));
            }
            assert!(is_semidefinite(&kernel), "{}: {:?}", network.id(), kernel.as_slice());
            assert_eq!(score.log_det.to_bits(), kernel.log_det().to_bits());
        }
    }
}

/// Cholesky with the largest pivot first: it ends with a remainder that is zero but for rounding.
fn is_semidefinite(kernel: &Agreement) -> bool {
    let n = kernel.images();
    let mut a: Vec<f64> = kernel.as_slice().iter().map(|&entry| f64::from(entry)).collect();
    let zero = 1e-9 * f64::from(kernel.activations());
    let mut left: Vec<usize> = (0..n).collect();
    while let Some(&p) = left.iter().max_by(|&&i, &&j| a[i * n + i].total_cmp(&a[j * n + j])) {
        let pivot = a[p * n + p];
        if pivot <= zero {
            return left.iter().all(|&i| left.iter().all(|&j| a[i * n + j].abs() <= zero));
        }
        left.retain(|&i| i != p);
        for &i in &left {
            for &j in &left {
                a[i * n + j] -= a[i * n + p] * a[p * n + j] / pivot;
            }
        }
    }
    true
}

#[test]
fn a_score_does_not_depend_on_its_group_the_order_or_the_threads() {
    let batch = noise(5, 2);
    let networks = mixed(24);
    for precision in [Precision::F32, Precision::F64] {
        let alone = scorer(batch.clone(), precision, 1);
        let expected: Vec<_> = networks.iter().map(|network| bits(&alone.score(network).unwrap())).collect();
        for threads in 1..=3 {
            let scorer = scorer(batch.clone(), precision, threads);
            // Images spread over the cores.
            for (network, expected) in networks.iter().zip(&expected) {
                assert_eq!(bits(&scorer.score(network).unwrap()), *expected, "{threads} threads");
            }
            // A core for each network.
            let all = scorer.score_all(&networks);
            assert!(all.iter().map(|score| bits(score.as_ref().unwrap())).eq(expected.iter().cloned()));
            let reversed: Vec<Network> = networks.iter().rev().cloned().collect();
            let all = scorer.score_all(&reversed);
            assert!(all.iter().rev().map(|score| bits(score.as_ref().unwrap())).eq(expected.iter().cloned()));
            let stream = scorer.stream(networks.clone());
            assert!(stream.map(|score| bits(&score.unwrap())).eq(expected.iter().cloned()));
        }
    }
}

#[test]
fn group_size_and_memory_limit_do_not_change_a_score() {
    let networks = mixed(8);
    let expected = scorer(noise(4, 5), Precision::F32, 1).score_all(&networks);
    let limit = networks.iter().map(|network| needed(network, &noise(4, 5))).max().unwrap();
    for group in [1, 3, 100] {
        let scorer = builder(noise(4, 5), Precision::F32).group_size(group).memory_limit(limit).threads(2);
        let scores = scorer.build().unwrap().score_all(&networks);
        for (score, expected) in scores.iter().zip(&expected) {
            assert_eq!(bits(score.as_ref().unwrap()), bits(expected.as_ref().unwrap()));
        }
    }
}

#[test]
fn a_batch_in_another_order_permutes_k() {
    let networks = mixed(10);
    for seed in 0..50 {
        let batch = noise(6, seed);
        let order = shuffled(6, seed);
        let images: Vec<f32> =
            order.iter().flat_map(|&i| batch.data()[i * 192..(i + 1) * 192].to_vec()).collect();
        let permuted = Batch::new(batch.shape(), images).unwrap();
        let [scores, others] =
            [batch, permuted].map(|batch| scorer(batch, Precision::F64, 1).score_all(&networks));
        for ((score, other), network) in scores.into_iter().zip(others).zip(&networks) {
            let (kernel, other) = (score.unwrap().kernel.unwrap(), other.unwrap().kernel.unwrap());
            for i in 0..6 {
                for j in 0..6 {
                    let (a, b) = (other.get(i, j), kernel.get(order[i], order[j]));
                    assert_eq!(a, b, "seed {seed}, {}, images {i} and {j}", network.id());
                }
            }
        }
    }
}

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut noise = Noise(seed ^ 0xabcd);
    let mut keyed: Vec<(u32, usize)> = (0..n).map(|i| (noise.number().to_bits(), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

#[test]
fn the_original_convention_counts_blocks_of_nasbench201_twice_and_nasbench101_once() {
    let once = scorer(noise(4, 1), Precision::F64, 1);
    let twice = builder(noise(4, 1), Precision::F64).convention(Convention::Original).build().unwrap();
    let cell = nasbench101::sample(1, 1).unwrap()[0];
    let network = cell.network(&Skeleton { stem: 12, stacks: 2, cells: 1 }).unwrap();
    assert_eq!(bits(&once.score(&network).unwrap()), bits(&twice.score(&network).unwrap()));

    // Only the last ReLU counts once: the difference of the two K is a K of its own.
    let cell: nasbench201::Cell =
        "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|".parse().unwrap();
    let network = cell.network(&nasbench201::Skeleton { stem: 4, cells: 1 }).unwrap();
    let (relu, original) = (once.score(&network).unwrap(), twice.score(&network).unwrap());
    let last = 16 * 2 * 2;
    assert_eq!(original.activations, 2 * relu.activations - last);
    let pairs =
        relu.kernel.as_ref().unwrap().as_slice().iter().zip(original.kernel.as_ref().unwrap().as_slice());
    let difference: Vec<u32> = pairs.map(|(&relu, &original)| 2 * relu - original).collect();
    assert!(is_semidefinite(&Agreement::new(4, difference).unwrap()));
}

#[test]
fn the_numbers_of_the_specification_hold_from_cell_to_score() {
    let scorer = |convention| {
        let batch = Batch::synthetic(2, 0).unwrap();
        Scorer::builder(batch).convention(convention).build().unwrap()
    };
    let [relu, original] = [Convention::Relu, Convention::Original].map(scorer);
    let skeleton = Skeleton::default();
    for (arch, activations) in [("0100/", 102_400), ("010001000/0", 188_416), ("011001000/0", 274_432)] {
        let network = arch.parse::<nasbench101::Cell>().unwrap().network(&skeleton).unwrap();
        for scorer in [&relu, &original] {
            assert_eq!(scorer.score(&network).unwrap().activations, activations, "{arch}");
        }
    }
    for (arch, convs) in [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 0),
        ("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|", 2),
    ] {
        let network =
            arch.parse::<nasbench201::Cell>().unwrap().network(&nasbench201::Skeleton::default()).unwrap();
        assert_eq!(relu.score(&network).unwrap().activations, 40_960 + 143_360 * convs, "{arch}");
        assert_eq!(original.score(&network).unwrap().activations, 77_824 + 286_720 * convs, "{arch}");
    }
}

#[test]
fn the_score_of_one_image_is_the_logarithm_of_n_a() {
    for precision in [Precision::F32, Precision::F64] {
        let scorer = scorer(noise(1, 0), precision, 2);
        for network in mixed(6) {
            let score = scorer.score(&network).unwrap();
            assert_eq!(score.log_det, (score.activations as f64).ln());
        }
    }
}

#[test]
fn a_batch_norm_over_a_single_value_is_an_error_that_names_it() {
    let network = nasbench201::Cell::new([nasbench201::Op::SkipConnect; 6])
        .network(&nasbench201::Skeleton { stem: 4, cells: 1 })
        .unwrap();
    let image = |n: usize| Batch::new([n, 3, 4, 4], noise(n, 0).data()[..n * 48].to_vec()).unwrap();
    let error = scorer(image(1), Precision::F32, 1).score(&network).unwrap_err();
    assert!(matches!(&error, Error::Graph { node, .. } if node == "cells.3.conv_a.op.2"), "{error}");
    assert!(scorer(image(2), Precision::F32, 1).score(&network).is_ok());
}

#[test]
fn a_network_without_counted_relus_is_its_own_error() {
    let mut g = Graph::builder(3).unwrap();
    let x = g.conv(g.input(), Conv::new(4, 3), "conv.weight").unwrap();
    let network = Network::from_graph("plain", g.output(x).unwrap());
    let scores = scorer(noise(3, 0), Precision::F32, 1).score_all(&[network, mixed(1).remove(0)]);
    let error = scores[0].as_ref().unwrap_err();
    assert!(matches!(error, Error::Graph { node, .. } if node == "conv.weight"), "{error}");
    assert!(error.to_string().contains("no ReLU that counts"), "{error}");
    assert!(scores[1].as_ref().unwrap().log_det.is_finite());
}

#[test]
fn duplicate_images_score_minus_infinity() {
    let one = noise(3, 0);
    let images = [one.data(), &one.data()[192..384]].concat();
    let batch = Batch::new([4, 3, 8, 8], images).unwrap();
    for precision in [Precision::F32, Precision::F64] {
        for score in scorer(batch.clone(), precision, 2).score_all(&mixed(10)) {
            let score = score.unwrap();
            assert_eq!(score.log_det, f64::NEG_INFINITY);
            let kernel = score.kernel.unwrap();
            assert_eq!(kernel.get(1, 3), Some(kernel.activations()));
        }
    }
}

#[test]
fn another_seed_or_batch_on_the_same_device_is_as_if_made_anew() {
    let networks = mixed(4);
    let first = builder(noise(4, 0), Precision::F32).weights(Weights::Seeded { seed: 1 }).build().unwrap();
    let second = builder(noise(5, 9), Precision::F32).weights(Weights::Seeded { seed: 2 }).build().unwrap();
    let reopened = first.with_weights(Weights::Seeded { seed: 2 }).unwrap().with_batch(noise(5, 9)).unwrap();
    assert_eq!(reopened.settings(), second.settings());
    for network in &networks {
        let scores = [&first, &second, &reopened].map(|scorer| bits(&scorer.score(network).unwrap()));
        assert_eq!(scores[1], scores[2]);
        assert_ne!(scores[0], scores[1]);
    }
}

/// A convolution without batch norm, its ReLU, and an average of that.
fn unnormalised() -> Network {
    let mut g = Graph::builder(3).unwrap();
    let x = g.conv(g.input(), naswot::Conv::new(8, 3).padding(1), "conv.weight").unwrap();
    let x = g.relu_counted(x, naswot::Multiplicity { relu: 0, original: 0 }).unwrap();
    let x = g.avg_pool(x, naswot::Window::new(3, 1, 1)).unwrap();
    let x = g.add(&[x, x]).unwrap();
    let x = g.relu(x).unwrap();
    Network::from_graph("unnormalised", g.output(x).unwrap())
}

#[test]
fn an_overflow_is_an_error_of_its_network_alone_and_never_a_score() {
    let large: Vec<f32> = noise(4, 0).data().iter().map(|value| value * 3e37).collect();
    let batch = Batch::new([4, 3, 8, 8], large).unwrap();
    let mut networks = mixed(6);
    let overflowing = networks.len();
    networks.insert(0, relu_of_the_image());
    networks.push(relu_of_the_image());
    for threads in [1, 2] {
        let single = scorer(batch.clone(), Precision::F32, threads);
        let scores: Vec<_> = single.stream(networks.clone()).collect();
        for score in &scores[1..=overflowing] {
            let error = score.as_ref().unwrap_err();
            assert!(matches!(error, Error::NonFinite { precision: "f32", .. }), "{error}");
            assert!(!error.is_fatal());
        }
        let [first, last] = [&scores[0], &scores[overflowing + 1]].map(|score| bits(score.as_ref().unwrap()));
        assert_eq!(first, last);
        // In f64 the same numbers are far from the limit.
        assert!(
            scorer(batch.clone(), Precision::F64, threads).score_all(&networks).iter().all(Result::is_ok)
        );
    }
}

#[test]
fn an_overflow_is_seen_behind_a_relu_and_an_average() {
    let network = unnormalised();
    let shapes = checkpoint::shapes(network.graph());
    let mut parameters = Parameters::new();
    parameters.insert("conv.weight".to_owned(), vec![-3e38; 8 * 27]);
    let weights = checkpoint::checkpoint(&shapes, &parameters);
    let batch = Batch::new([2, 3, 8, 8], vec![2.0; 2 * 192]).unwrap();
    let scorer = builder(batch, Precision::F32).weights(Weights::Checkpoint(weights)).build().unwrap();
    let error = scorer.score(&network).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
}

/// The checkpoint of a network, with a change.
fn changed(
    network: &Network,
    change: impl FnOnce(&mut Vec<(String, Vec<usize>)>, &mut naive::Parameters),
) -> Weights {
    let mut shapes = checkpoint::shapes(network.graph());
    let mut noise = Noise(4);
    let mut parameters = Parameters::new();
    for (name, shape) in &shapes {
        parameters.insert(name.clone(), (0..shape.iter().product()).map(|_| noise.number()).collect());
    }
    change(&mut shapes, &mut parameters);
    Weights::Checkpoint(checkpoint::checkpoint(&shapes, &parameters))
}

#[test]
fn weights_that_do_not_fit_are_an_error_of_the_network_that_names_the_tensor() {
    let network = unnormalised();
    let fails = |weights: Weights, name: &str, why: &str| {
        let scorer = builder(noise(2, 0), Precision::F32).weights(weights).build().unwrap();
        // The second network has no parameters, so for it every tensor is one too many.
        let scores = scorer.score_all(&[network.clone(), relu_of_the_image()]);
        for (score, why) in scores.iter().zip([why, "has no place in the network"]) {
            let error = score.as_ref().unwrap_err();
            assert!(!error.is_fatal());
            match error {
                Error::Parameter { name: found, kind } => {
                    assert!(found == name && kind.to_string().contains(why), "{found}: {kind}");
                }
                other => panic!("{other}"),
            }
        }
    };
    let rename = |shapes: &mut Vec<(String, Vec<usize>)>, parameters: &mut Parameters| {
        shapes[0].0 = "other.weight".to_owned();
        let values = parameters.remove("conv.weight").unwrap();
        parameters.insert("other.weight".to_owned(), values);
    };
    let missing = builder(noise(2, 0), Precision::F32).weights(changed(&network, rename)).build().unwrap();
    let error = missing.score(&network).unwrap_err().to_string();
    assert!(error.contains("`conv.weight` is missing"), "{error}");

    let misshapen = changed(&network, |shapes, _| shapes[0].1 = vec![8, 3, 9, 1]);
    fails(misshapen, "conv.weight", "has shape 8x3x9x1");
    for value in [f32::NAN, f32::INFINITY] {
        let poisoned =
            changed(&network, |_, parameters| parameters.get_mut("conv.weight").unwrap()[5] = value);
        fails(poisoned, "conv.weight", "at element 5");
    }
    let placeless = changed(&network, |shapes, parameters| {
        shapes.push(("extra.bias".to_owned(), vec![1]));
        parameters.insert("extra.bias".to_owned(), vec![0.0]);
    });
    let scorer = builder(noise(2, 0), Precision::F32).weights(placeless).build().unwrap();
    let error = scorer.score(&network).unwrap_err().to_string();
    assert!(error.contains("`extra.bias` has no place"), "{error}");

    // What a state dict has beside parameters is no error.
    let usual = changed(&network, |shapes, parameters| {
        for name in ["classifier.weight", "n.running_mean", "n.running_var", "n.num_batches_tracked"] {
            shapes.push((name.to_owned(), vec![1]));
            parameters.insert(name.to_owned(), vec![0.0]);
        }
    });
    assert!(builder(noise(2, 0), Precision::F32).weights(usual).build().unwrap().score(&network).is_ok());
}

/// Bytes that a network takes in f32.
fn needed(network: &Network, batch: &Batch) -> u64 {
    builder(batch.clone(), Precision::F32).build().unwrap().memory(network).unwrap()
}

#[test]
fn a_network_over_the_memory_limit_is_an_error_with_both_figures() {
    let batch = noise(4, 0);
    let networks = mixed(12);
    let needs: Vec<u64> = networks.iter().map(|network| needed(network, &batch)).collect();
    let largest = *needs.iter().max().unwrap();
    for (threads, limit) in [(1, largest - 1), (3, largest - 1), (3, largest)] {
        let scorer =
            builder(batch.clone(), Precision::F32).threads(threads).memory_limit(limit).build().unwrap();
        for (score, &needs) in scorer.stream(networks.clone()).zip(&needs) {
            match score {
                Ok(_) => assert!(needs <= limit),
                Err(Error::Memory { needed, limit: allowed }) => {
                    assert_eq!((needed, allowed), (needs, limit));
                    assert!(needed > limit);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_network_that_does_not_fit_the_batch_leaves_the_others_alone() {
    let batch = noise(3, 0);
    let mut networks = mixed(6);
    let expected: Vec<_> = scorer(batch.clone(), Precision::F32, 1)
        .score_all(&networks)
        .into_iter()
        .map(|score| bits(&score.unwrap()))
        .collect();
    let gray = {
        let mut g = Graph::builder(1).unwrap();
        let x = g.relu(g.input()).unwrap();
        Network::from_graph("gray", g.output(x).unwrap())
    };
    let wide = {
        let mut g = Graph::builder(3).unwrap();
        let x = g.conv(g.input(), naswot::Conv::new(4, 9), "wide.weight").unwrap();
        let x = g.relu(x).unwrap();
        Network::from_graph("wide", g.output(x).unwrap())
    };
    networks.insert(4, wide);
    networks.insert(2, gray);
    for threads in [1, 2] {
        let scores: Vec<_> =
            scorer(batch.clone(), Precision::F32, threads).stream(networks.clone()).collect();
        assert!(matches!(scores[2], Err(Error::Batch { .. })));
        assert!(matches!(&scores[5], Err(Error::Graph { node, .. }) if node == "wide.weight"));
        let good = scores.iter().enumerate().filter(|(i, _)| ![2, 5].contains(i));
        assert!(good.map(|(_, score)| bits(score.as_ref().unwrap())).eq(expected.iter().cloned()));
    }
}
