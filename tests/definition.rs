//! K and the count of activation patterns are what their definitions say, for any network: a plain interpreter agrees
//! with the scorer bit by bit.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::checkpoint::{checkpoint, shapes};
use common::graphs::{Case, Noise, cases};
use common::naive::{DOUBLE, Parameters, SINGLE, evaluate};
use naswot::{Batch, Conv, Convention, Error, Graph, Network, Precision, Scorer, Weights, Window};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

/// Random networks in the suite; `NASWOT_CASES` asks for more.
const CASES: u32 = 400;

#[test]
fn k_of_a_random_network_is_what_its_definition_says() {
    check(Precision::F64);
}

/// Every form that the fast path takes on this machine, too; the one test here that touches the environment.
#[test]
fn k_in_single_precision_is_what_its_definition_says_but_for_bits_in_doubt() {
    let mut forms = 0;
    for form in ["avx512", "avx2", "neon", "portable"] {
        // SAFETY: the other test of this file reads no environment variable that this one writes, and std's
        // own accesses are locked.
        unsafe { std::env::set_var("NASWOT_SIMD", form) };
        let batch = Batch::new([1, 1, 2, 2], vec![0.5; 4]).unwrap();
        if Scorer::builder(batch).build().is_ok() {
            println!("{form}");
            check(Precision::F32);
            forms += 1;
        }
    }
    assert!(forms > 0, "the portable form works everywhere");
}

fn check(precision: Precision) {
    let asked = std::env::var("NASWOT_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases_wanted = asked.unwrap_or(CASES);
    let mut runner =
        TestRunner::new(Config { cases: cases_wanted, failure_persistence: None, ..Config::default() });
    let (doubtful, differing) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let outcome = runner.run(&cases(22), |case| {
        for (convention, threads) in [(Convention::Relu, 1), (Convention::Original, 2)] {
            let (in_doubt, differs) = compare(&case, convention, threads, precision)?;
            doubtful.fetch_add(usize::from(in_doubt), Relaxed);
            differing.fetch_add(usize::from(differs), Relaxed);
        }
        Ok(())
    });
    match outcome {
        Err(TestError::Fail(why, case)) => panic!("{why}\n{case:?}"),
        Err(why) => panic!("{why}"),
        Ok(()) => {}
    }
    println!(
        "{cases_wanted} networks, twice each: {} had a bit in doubt, in {} it fell out otherwise",
        doubtful.into_inner(),
        differing.into_inner()
    );
}

#[test]
fn a_padded_pool_may_have_longer_rows_than_it_reads() {
    for max in [true, false] {
        let mut g = Graph::builder(3).unwrap();
        let window = Window::new(3, 1, 2);
        let x = if max { g.max_pool(g.input(), window) } else { g.avg_pool(g.input(), window) };
        let x = g.relu(x.unwrap()).unwrap();
        let mut noise = Noise(1);
        let images = (0..3 * 3 * 5 * 4).map(|_| noise.number()).collect();
        let graph = g.output(x).unwrap();
        let case = Case { graph, shape: [3, 3, 5, 4], images, parameters: Parameters::new() };
        assert_eq!(compare(&case, Convention::Relu, 1, Precision::F64).unwrap(), (false, false));
    }
}

/// A convolution that a ReLU reads as it is: where all its inputs are zero the bit is 0, whatever stands beside them.
#[test]
fn a_sum_of_zeros_beside_other_numbers_is_zero() {
    let (channels, side) = (8, 8);
    let mut g = Graph::builder(channels).unwrap();
    let conv = Conv { padding: [1, 1], ..Conv::new(channels, 3) };
    let x = g.conv(g.input(), conv, "conv.weight").unwrap();
    let x = g.relu(x).unwrap();
    let graph = g.output(x).unwrap();
    let mut noise = Noise(7);
    // One pixel of numbers within zeros.
    let images = (0..2 * channels * side * side)
        .map(|at| if at % (side * side) == 3 * side + 3 { noise.number() } else { 0.0 })
        .collect();
    let weights = (0..channels * channels * 9).map(|_| noise.number()).collect();
    let parameters = Parameters::from([("conv.weight".to_owned(), weights)]);
    let case = Case { graph, shape: [2, channels, side, side], images, parameters };
    assert_eq!(compare(&case, Convention::Relu, 1, Precision::F32).unwrap(), (false, false));
}

/// Compares scorer and definition; says whether any bit was in doubt, and whether one differed.
fn compare(
    case: &Case,
    convention: Convention,
    threads: usize,
    precision: Precision,
) -> Result<(bool, bool), TestCaseError> {
    let unit = if precision == Precision::F64 { DOUBLE } else { SINGLE };
    let expected = evaluate(&case.graph, case.shape, &case.images, &case.parameters, convention, unit);
    let weights = checkpoint(&shapes(&case.graph), &case.parameters);
    let scorer = Scorer::builder(Batch::new(case.shape, case.images.clone()).unwrap())
        .weights(Weights::Checkpoint(weights))
        .precision(precision)
        .convention(convention)
        .threads(threads)
        .scores("swap".parse().unwrap())
        .keep_kernels(true)
        .build()
        .unwrap();
    let score = scorer.score(&Network::from_graph("random", case.graph.clone()));
    if expected.activations == 0 {
        prop_assert!(matches!(score, Err(Error::Graph { .. })), "{:?}: a score without a code", convention);
        return Ok((false, false));
    }
    let score = score.map_err(|error| TestCaseError::fail(format!("{convention:?}: {error}")))?;
    prop_assert_eq!(score.activations, expected.activations);
    prop_assert_eq!(score.convolutions, expected.convolutions);
    let swap = score.get("swap").unwrap();
    prop_assert!(
        expected.allows_patterns(swap),
        "{:?}: {} patterns, by definition {}, {} units in doubt",
        convention,
        swap,
        expected.patterns,
        expected.doubtful_units
    );
    let kernel = score.kernel.unwrap();
    prop_assert!(
        expected.allows(kernel.as_slice()),
        "{:?}: K is {:?}\nby definition {:?}\nin doubt {:?}\n{}",
        convention,
        kernel.as_slice(),
        expected.kernel,
        expected.doubtful,
        scorer.plan(&Network::from_graph("random", case.graph.clone())).unwrap()
    );
    Ok((expected.doubtful.iter().any(|&bits| bits > 0), kernel.as_slice() != expected.kernel))
}
