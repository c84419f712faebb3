//! Scores of the WGSL backend are those of the CPU and of PyTorch, whatever the group; what cannot be scored is an error
//! of its own.

mod common;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use common::checkpoint::{checkpoint, shapes};
use common::codes::rebuilt;
use common::harness::{Requirement, needs, needs_all, run};
use common::naive::Parameters;
use common::networks::{answers_a_producer_that_waits, mixed, noise, relu_of_the_image};
use common::reference::{CASES, Case};
use common::stages::{agree, kernels};
use naswot::nasbench101::{self, Skeleton};
use naswot::testing::InjectedFault;
use naswot::{
    Backend, Batch, Conv, Convention, Graph, Network, Precision, Probe, Scorer, ScorerBuilder, Scores, Stage,
    Weights, nasbench201,
};

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for case in CASES {
        let name = format!("{case}_as_pytorch_has_it");
        trials.push(needs_all(&[Requirement::Reference, Requirement::Wgpu], &name, move |folder| {
            let case = Case::read(&folder.join(case))?;
            case.agrees(&Backend::Wgpu(None), Precision::F32)?;
            case.agrees_in_patterns(|builder| builder.backend(Backend::Wgpu(None)), Precision::F32)
        }));
    }
    type Test = fn() -> Result<(), Box<dyn Error>>;
    let tests: [(&str, Test); 18] = [
        ("sampled_cells_score_as_on_the_cpu", sampled_cells),
        ("random_networks_score_as_on_the_cpu", random_networks),
        ("k_does_not_depend_on_the_group", groups),
        ("two_runs_give_identical_k", twice),
        ("an_ordinary_run_uses_no_twin", no_twin),
        ("a_swapped_stage_changes_little", swapped),
        ("numbers_that_are_not_finite_are_the_network_s_error", not_finite),
        ("a_network_that_does_not_fit_is_its_own_error", too_large),
        ("networks_that_cannot_be_compiled_do_not_end_a_run", faulty),
        ("singular_k_is_minus_infinity", singular),
        ("codes_are_the_cpu_s_word_by_word", codes),
        ("log_determinants_of_many_images_are_those_in_f64", thousand),
        ("a_stream_and_a_single_network_take_turns", at_once),
        ("a_producer_may_wait_for_each_result", waits),
        ("a_cancelled_stream_starts_no_more", cancelled),
        ("a_lost_device_is_opened_anew_once", lost),
        ("a_group_without_memory_is_halved", memory),
        ("an_unknown_adapter_is_refused_with_those_there_are", unknown),
    ];
    for (name, test) in tests {
        trials.push(needs(Requirement::Wgpu, name, move |_| test()));
    }
    run(trials)
}

fn wgpu(batch: &Batch) -> ScorerBuilder {
    let builder = Scorer::builder(batch.clone()).backend(Backend::Wgpu(None));
    builder.scores(Scores::everywhere()).keep_kernels(true)
}

fn cpu(batch: &Batch) -> ScorerBuilder {
    Scorer::builder(batch.clone()).backend(Backend::Cpu).precision(Precision::F64).keep_kernels(true)
}

fn sampled_cells() -> Result<(), Box<dyn Error>> {
    let batch = noise(6, 1);
    let skeleton = Skeleton { stem: 6, stacks: 2, cells: 1 };
    let mut networks = Vec::new();
    for cell in nasbench101::sample(20, 11)? {
        networks.push(cell.network(&skeleton)?);
    }
    for cell in nasbench201::sample(20, 11)? {
        networks.push(cell.network(&nasbench201::Skeleton { stem: 4, cells: 1 })?);
    }
    agree(
        &networks,
        &kernels(&wgpu(&batch).build()?, &networks)?,
        &kernels(&cpu(&batch).build()?, &networks)?,
    );
    Ok(())
}

/// Networks of every kind of node, with parameters of their own.
fn random_networks() -> Result<(), Box<dyn Error>> {
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut scored, mut refused) = (0, 0);
    while scored < 12 {
        let case = common::graphs::cases(10).new_tree(&mut runner).map_err(|why| why.to_string())?.current();
        let batch = Batch::new(case.shape, case.images.clone())?;
        let shapes = shapes(&case.graph);
        let weights = match shapes.is_empty() {
            true => Weights::default(),
            false => Weights::Checkpoint(checkpoint(&shapes, &case.parameters)),
        };
        let networks = [Network::from_graph("random", case.graph.clone())];
        let ours = wgpu(&batch).weights(weights.clone()).build()?.score(&networks[0]);
        let reference = cpu(&batch).weights(weights).build()?.score(&networks[0]);
        match (ours, reference) {
            (Ok(ours), Ok(reference)) => {
                let (a, b) = (ours.kernel.ok_or("no kernel")?, reference.kernel.ok_or("no kernel")?);
                // Small networks: a single bit near zero may weigh more than the criterion grants.
                let difference: u64 =
                    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                let most = (1e-4 * a.as_slice().len() as f64 * f64::from(a.activations())).max(8.0);
                assert!(difference as f64 <= most, "{difference} over {most}: {case:?}");
                scored += 1;
            }
            (Err(error), _) if error.to_string().contains("groups") => refused += 1,
            (Err(ours), Err(reference)) => {
                assert_eq!(ours.to_string().replace("f32", "f64"), reference.to_string())
            }
            (ours, reference) => panic!("{:?} and {:?}: {case:?}", ours.err(), reference.err()),
        }
        assert!(refused < 100);
    }
    Ok(())
}

fn groups() -> Result<(), Box<dyn Error>> {
    let batch = noise(5, 2);
    let networks = mixed(16);
    let one = kernels(&wgpu(&batch).group_size(1).build()?, &networks)?;
    for size in [3, 16] {
        let scorer = wgpu(&batch).group_size(size).build()?;
        assert_eq!(kernels(&scorer, &networks)?, one, "groups of {size}");
    }
    // In other company, and in another order.
    let back: Vec<Network> = networks.iter().rev().cloned().collect();
    let mut other = kernels(&wgpu(&batch).group_size(5).build()?, &back)?;
    other.reverse();
    assert_eq!(other, one);
    Ok(())
}

fn twice() -> Result<(), Box<dyn Error>> {
    let (batch, networks) = (noise(9, 3), mixed(4));
    let scorer = wgpu(&batch).build()?;
    assert_eq!(kernels(&scorer, &networks)?, kernels(&scorer, &networks)?);
    // A stream is the same once more.
    let streamed: Vec<f64> =
        scorer.stream(networks.clone()).map(|s| Ok(s?.log_det)).collect::<naswot::Result<_>>()?;
    let all: Vec<f64> = kernels(&scorer, &networks)?.into_iter().map(|scored| scored.log_det).collect();
    assert_eq!(streamed, all);
    Ok(())
}

fn no_twin() -> Result<(), Box<dyn Error>> {
    let (batch, networks) = (noise(4, 3), mixed(2));
    let probe = Arc::new(Probe::default());
    let scorer = wgpu(&batch).probe(Arc::clone(&probe)).build()?;
    let timed = kernels(&scorer, &networks)?;
    assert_eq!(probe.twins(), 0);
    assert!(Stage::OF_DEVICE.iter().all(|&stage| !probe.time(stage).is_zero()));
    // Launches by themselves, and with a pool of weights that is there, are no others.
    assert_eq!(timed, kernels(&wgpu(&batch).build()?, &networks)?);
    Ok(())
}

fn swapped() -> Result<(), Box<dyn Error>> {
    let (batch, networks) = (noise(4, 3), mixed(3));
    let plain = kernels(&wgpu(&batch).build()?, &networks)?;
    for stages in [&[Stage::Conv, Stage::Combine][..], &Stage::OF_DEVICE] {
        let probe = Arc::new(Probe::default());
        let scorer = wgpu(&batch).twins(stages).probe(Arc::clone(&probe)).build()?;
        agree(&networks, &kernels(&scorer, &networks)?, &plain);
        assert!(probe.twins() > 0);
    }
    Ok(())
}

fn not_finite() -> Result<(), Box<dyn Error>> {
    // Weights so large that squares overflow; the others of the group are scored.
    let network = |name: &str| -> naswot::Result<Network> {
        let mut g = Graph::builder(3)?;
        let x = g.conv(g.input(), Conv::new(8, 1), "a.weight")?;
        let x = g.batch_norm(x, name)?;
        let x = g.relu(x)?;
        Ok(Network::from_graph(name, g.output(x)?))
    };
    let (batch, bad) = (noise(4, 3), network("a.norm")?);
    let shapes = shapes(bad.graph());
    let parameters: Parameters =
        shapes.iter().map(|(name, shape)| (name.clone(), vec![3e30; shape.iter().product()])).collect();
    let weights = Weights::Checkpoint(checkpoint(&shapes, &parameters));
    let expected = "non-finite activations at `a.norm`: the weights or the images are too large for f32";
    let scorer = wgpu(&batch).weights(weights).group_size(3).build()?;
    let errors = scorer.score_all(&[bad.clone(), bad.clone()]);
    for error in errors {
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
    // A NaN in a checkpoint is found before anything runs, in the networks that need it and no others.
    let mut broken = parameters;
    broken.insert("a.weight".to_owned(), vec![f32::NAN; 24]);
    let weights = Weights::Checkpoint(checkpoint(&shapes, &broken));
    let scorer = wgpu(&batch).weights(weights).build()?;
    let error = scorer.score_all(&[bad]).remove(0).unwrap_err().to_string();
    assert_eq!(error, "weights: tensor `a.weight` holds NaN at element 0");
    // Images so large that a sum overflows, in a group with a network that does not add.
    let huge = Batch::new([4, 3, 2, 2], (0..48).map(|i| if i % 2 == 0 { 3e38 } else { -3e38 }).collect())?;
    let mut g = Graph::builder(3)?;
    let sum = g.add(&[g.input(), g.input()])?;
    let relu = g.relu(sum)?;
    let sum = Network::from_graph("sum", g.output(relu)?);
    let scores =
        wgpu(&huge).group_size(3).build()?.score_all(&[relu_of_the_image(), sum, relu_of_the_image()]);
    assert!(scores[0].is_ok() && scores[2].is_ok());
    assert!(matches!(&scores[1], Err(naswot::Error::NonFinite { .. })), "{:?}", scores[1]);
    Ok(())
}

fn too_large() -> Result<(), Box<dyn Error>> {
    let batch = noise(8, 3);
    let networks = mixed(4);
    let scorer = wgpu(&batch).build()?;
    let bytes: Vec<u64> = networks.iter().map(|network| scorer.memory(network)).collect::<Result<_, _>>()?;
    let limit = bytes.iter().copied().max().unwrap_or(0) - 1;
    let scores = wgpu(&batch).memory_limit(limit).build()?.score_all(&networks);
    for (score, bytes) in scores.iter().zip(bytes) {
        match score {
            Ok(_) => assert!(bytes <= limit),
            Err(naswot::Error::Memory { needed, limit: told }) => assert!(needed > told && *told == limit),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(scores.iter().any(Result::is_err) && scores.iter().any(Result::is_ok));
    Ok(())
}

/// Faulty networks are errors of their own, however many there are.
fn faulty() -> Result<(), Box<dyn Error>> {
    // Eight channels, where images have three.
    let mut g = Graph::builder(8)?;
    let x = g.relu(g.input())?;
    let bad = Network::from_graph("bad", g.output(x)?);
    let mut networks = vec![bad; 70];
    networks.push(relu_of_the_image());
    let scores = wgpu(&noise(2, 1)).group_size(2).build()?.score_all(&networks);
    assert!(scores[..70].iter().all(|score| matches!(score, Err(naswot::Error::Batch { .. }))));
    assert!(scores[70].is_ok());
    Ok(())
}

fn singular() -> Result<(), Box<dyn Error>> {
    // Two equal images.
    let one = noise(1, 4);
    let twice = Batch::new([2, 3, 8, 8], [one.data(), one.data()].concat())?;
    let networks = mixed(4);
    for scored in kernels(&wgpu(&twice).build()?, &networks)? {
        assert_eq!(scored.log_det, f64::NEG_INFINITY);
    }
    Ok(())
}

fn codes() -> Result<(), Box<dyn Error>> {
    let batch = noise(4, 5);
    for network in mixed(4) {
        let codes = |backend| -> Result<_, Box<dyn Error>> {
            let builder = Scorer::builder(batch.clone()).backend(backend).keep_codes(true);
            let score = builder.precision(Precision::F32).build()?.score(&network)?;
            Ok(score.codes.ok_or("no codes")?)
        };
        let (ours, theirs) = (codes(Backend::Wgpu(None))?, codes(Backend::Cpu)?);
        let kernel = wgpu(&batch).build()?.score(&network)?.kernel.ok_or("no K")?;
        assert_eq!(rebuilt(&ours), kernel.as_slice(), "{}", network.id());
        let (differ, bits) = (ours.differences(&theirs), ours.bits());
        assert!(differ as f64 <= 1e-4 * bits as f64, "{differ} of {bits}");
    }
    Ok(())
}

/// K of real networks, and their log-determinants against f64.
fn thousand() -> Result<(), Box<dyn Error>> {
    let cell: nasbench201::Cell =
        "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|".parse()?;
    let network = cell.network(&nasbench201::Skeleton { stem: 8, cells: 1 })?;
    for (images, tolerance) in [(256, 1e-4), (1024, 1e-3)] {
        let score = wgpu(&noise(images, 6)).build()?.score(&network)?;
        let expected = score.kernel.ok_or("no kernel")?.log_det();
        assert!(expected.is_finite());
        let error = (score.log_det - expected).abs();
        println!("{images} images: {} is {error:e} off", score.log_det);
        assert!(error < tolerance, "{images} images: {} is {error:e} off", score.log_det);
    }
    Ok(())
}

fn at_once() -> Result<(), Box<dyn Error>> {
    let scorer = wgpu(&noise(2, 9)).group_size(2).build()?;
    let networks = mixed(6);
    let alone: Vec<f64> = kernels(&scorer, &networks)?.into_iter().map(|scored| scored.log_det).collect();
    for (score, expected) in scorer.stream(networks.clone()).zip(&alone) {
        assert_eq!(score?.log_det, *expected);
        // While the stream goes on.
        assert_eq!(scorer.score(&networks[0])?.log_det, alone[0]);
    }
    Ok(())
}

fn waits() -> Result<(), Box<dyn Error>> {
    answers_a_producer_that_waits(&wgpu(&noise(2, 9)).build()?, mixed(4));
    Ok(())
}

fn cancelled() -> Result<(), Box<dyn Error>> {
    let scorer = wgpu(&noise(2, 8)).group_size(2).build()?;
    let networks =
        nasbench201::all().filter_map(|cell| cell.network(&nasbench201::Skeleton { stem: 2, cells: 1 }).ok());
    let mut stream = scorer.stream(networks);
    assert!(stream.next().is_some_and(|score| score.is_ok()));
    stream.cancel();
    let rest: Vec<bool> = stream.map(|score| score.is_ok()).collect();
    // Those that were taken ahead: four groups on their way, some of which were running, and as many that had results.
    assert!(rest.len() <= 16, "{rest:?}");
    Ok(())
}

/// Scores of networks on a device with injected faults.
fn with_faults(faults: &[InjectedFault]) -> Result<Vec<naswot::Result<f64>>, Box<dyn Error>> {
    let probe = Arc::new(Probe::of_faults(faults));
    let scorer = wgpu(&noise(3, 7)).group_size(4).probe(probe).build()?;
    Ok(scorer.score_all(&mixed(6)).into_iter().map(|score| score.map(|score| score.log_det)).collect())
}

fn lost() -> Result<(), Box<dyn Error>> {
    let scores: Vec<f64> = with_faults(&[])?.into_iter().collect::<Result<_, _>>()?;
    // Once: a new device runs the group again.
    let again: Vec<f64> = with_faults(&[InjectedFault::Loss])?.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(again, scores);
    // While another group is in the air, which is lost with it.
    let again: Vec<f64> =
        with_faults(&[InjectedFault::Loss, InjectedFault::None])?.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(again, scores);
    // Twice: the run ends, with an error for each network that was not scored.
    for score in with_faults(&[InjectedFault::Loss, InjectedFault::Loss])? {
        let error = score.err().ok_or("a lost device has scored")?;
        assert!(error.is_fatal() && error.to_string().contains("was lost, and again"), "{error}");
    }
    Ok(())
}

fn memory() -> Result<(), Box<dyn Error>> {
    let scores: Vec<f64> = with_faults(&[])?.into_iter().collect::<Result<_, _>>()?;
    // Groups are halved until they fit.
    let halved: Vec<f64> =
        with_faults(&[InjectedFault::NoMemory; 2])?.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(halved, scores);
    // A network that does not fit alone is tried once more, with nothing else on the device.
    let again: Vec<f64> =
        with_faults(&[InjectedFault::NoMemory; 3])?.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(again, scores);
    // One that does not fit then is its own error.
    let alone = with_faults(&[InjectedFault::NoMemory; 4])?;
    assert!(matches!(&alone[0], Err(naswot::Error::DeviceMemory { needed, .. }) if *needed > 0), "{alone:?}");
    for (score, expected) in alone.iter().zip(&scores).skip(1) {
        assert_eq!(score.as_ref().ok(), Some(expected));
    }
    Ok(())
}

fn unknown() -> Result<(), Box<dyn Error>> {
    let builder = Scorer::builder(noise(1, 0)).backend(Backend::Wgpu(Some("abacus".to_owned())));
    let error = builder.build().err().ok_or("an abacus was found")?.to_string();
    assert!(
        error.starts_with("backend wgpu:abacus: no adapter's name contains `abacus`; there are "),
        "{error}"
    );
    let builder = Scorer::builder(noise(1, 0)).backend(Backend::Wgpu(None)).precision(Precision::F64);
    assert!(builder.build().is_err());
    let builder = Scorer::builder(noise(1, 0)).convention(Convention::Relu);
    // What `auto` takes is never a software adapter.
    assert!(!builder.build()?.device().contains("software adapter"));
    Ok(())
}
