//! Runs of the CUDA backend, on the shim's device: whatever the group, and with faults of the
//! device.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::cuda::{Outcome, cpu, cuda, does_not_depend_on_the_group};
use common::harness::{Requirement, needs, run};
use common::networks::{answers_a_producer_that_waits, mixed, noise, relu_of_the_image};
use common::shim::{Build, Shim, host};
use common::stages::{agree, kernels};
use naswot::testing::cuda::{ComputeCapability, Driver, Fault, KernelLaunch};
use naswot::{Backend, Batch, Error, Graph, Network, Precision, Probe, Scorer, Stage};

fn main() -> ExitCode {
    type Test = fn() -> Outcome;
    let tests: [(&str, Test); 12] = [
        ("k_does_not_depend_on_the_group", || does_not_depend_on_the_group(&shim()?, &mixed(16), &[3, 16])),
        ("an_ordinary_run_uses_no_twin", no_twin),
        ("a_swapped_stage_changes_little", swapped),
        ("codes_are_the_cpu_s_word_by_word", codes),
        ("a_group_without_memory_is_made_smaller", memory),
        ("a_network_without_memory_is_its_own_error", no_memory),
        ("a_lost_device_is_opened_anew_once", lost),
        ("numbers_that_are_not_finite_are_the_network_s_error", not_finite),
        ("a_network_that_does_not_fit_is_its_own_error", too_large),
        ("a_stream_and_a_single_network_take_turns", at_once),
        ("a_producer_may_wait_for_each_result", waits),
        ("a_precision_that_it_lacks_is_refused", precision),
    ];
    run(tests.into_iter().map(|(name, test)| needs(Requirement::Shim, name, move |_| test())).collect())
}

fn shim() -> Result<Arc<dyn Driver>, Box<dyn std::error::Error>> {
    Ok(Shim::start(&host(Build::Plain)?, 1)?)
}

fn no_twin() -> Outcome {
    let (batch, networks) = (noise(4, 3), mixed(2));
    let probe = Arc::new(Probe::default());
    let timed = kernels(&cuda(&batch, shim()?).probe(Arc::clone(&probe)).build()?, &networks)?;
    assert_eq!(probe.twins(), 0);
    assert!(Stage::OF_DEVICE.iter().all(|&stage| stage == Stage::BatchNorm || !probe.time(stage).is_zero()));
    // Launches by themselves are no others.
    assert_eq!(timed, kernels(&cuda(&batch, shim()?).build()?, &networks)?);
    Ok(())
}

fn swapped() -> Outcome {
    let (batch, networks) = (noise(4, 3), mixed(3));
    let plain = kernels(&cuda(&batch, shim()?).build()?, &networks)?;
    for stages in [&[Stage::Conv, Stage::Combine][..], &Stage::OF_DEVICE] {
        let probe = Arc::new(Probe::default());
        let scorer = cuda(&batch, shim()?).twins(stages).probe(Arc::clone(&probe)).build()?;
        agree(&networks, &kernels(&scorer, &networks)?, &plain);
        assert!(probe.twins() > 0);
    }
    Ok(())
}

fn codes() -> Outcome {
    let batch = noise(4, 5);
    for network in mixed(4) {
        let of = |builder: naswot::ScorerBuilder| -> Result<_, Box<dyn std::error::Error>> {
            let score = builder.keep_codes(true).build()?.score(&network)?;
            Ok(score.codes.ok_or("no codes")?)
        };
        let cpu = Scorer::builder(batch.clone()).backend(Backend::Cpu).precision(Precision::F32);
        let (ours, theirs) = (of(cuda(&batch, shim()?))?, of(cpu)?);
        let (differ, bits) = (ours.differences(&theirs), ours.bits());
        assert!(differ as f64 <= 1e-4 * bits as f64, "{differ} of {bits}");
    }
    Ok(())
}

/// A device that has so much memory, and is lost at the launch whose number reaches zero, as often as that.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn Driver>,
    /// Bytes of one piece at most.
    most: u64,
    launches: AtomicU64,
    losses: u64,
}

impl Faulty {
    fn device(most: u64, launches: u64, losses: u64) -> Result<Arc<dyn Driver>, Box<dyn std::error::Error>> {
        Ok(Arc::new(Faulty { inner: shim()?, most, launches: AtomicU64::new(launches), losses }))
    }

    fn is_lost(&self) -> Result<(), Fault> {
        match self.losses > 0 && self.launches.load(Ordering::SeqCst) == 0 {
            true => Err(Fault::Lost("an illegal address".to_owned())),
            false => Ok(()),
        }
    }
}

impl Driver for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }
    fn compute_capability(&self) -> ComputeCapability {
        self.inner.compute_capability()
    }
    fn free_memory(&self) -> Result<u64, Fault> {
        self.inner.free_memory()
    }
    fn busy_blocks(&self) -> usize {
        self.inner.busy_blocks()
    }
    fn allocate(&self, bytes: u64) -> Result<u64, Fault> {
        self.is_lost()?;
        if bytes > self.most { Err(Fault::Memory) } else { self.inner.allocate(bytes) }
    }
    fn free(&self, address: u64) {
        self.inner.free(address);
    }
    fn write(&self, stream: usize, to: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.is_lost()?;
        self.inner.write(stream, to, bytes)
    }
    fn copy(&self, stream: usize, from: u64, to: u64, bytes: u64) -> Result<(), Fault> {
        self.is_lost()?;
        self.inner.copy(stream, from, to, bytes)
    }
    fn launch(&self, stream: usize, launch: &KernelLaunch<'_>) -> Result<(), Fault> {
        let _ = self.launches.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        // As on a GPU, the launch itself says nothing.
        self.inner.launch(stream, launch)
    }
    fn follow(&self, stream: usize, leader: usize) -> Result<(), Fault> {
        self.inner.follow(stream, leader)
    }
    fn wait(&self, stream: usize) -> Result<(), Fault> {
        self.is_lost()?;
        self.inner.wait(stream)
    }
    fn read(&self, stream: usize, from: u64, to: &mut [u8]) -> Result<(), Fault> {
        self.is_lost()?;
        self.inner.read(stream, from, to)
    }
    fn renew(&self) -> naswot::Result<Arc<dyn Driver>> {
        let refused = |error: Box<dyn std::error::Error>| Error::Backend {
            backend: "cuda".to_owned(),
            kind: naswot::BackendErrorKind::CannotOpen,
            reason: error.to_string(),
        };
        Faulty::device(self.most, 100, self.losses.saturating_sub(1)).map_err(refused)
    }
}

const MIB: u64 = 1 << 20;

fn memory() -> Outcome {
    let (batch, networks) = (noise(5, 2), mixed(12));
    let expected = kernels(&cuda(&batch, shim()?).build()?, &networks)?;
    // The largest buffers of twelve networks are larger, those of three are not.
    let sizes: Vec<u64> = networks
        .iter()
        .map(|network| cuda(&batch, shim()?).build()?.memory(network).map_err(Into::into))
        .collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let device = Faulty::device((sizes.iter().sum::<u64>() / 3).max(5 * MIB), u64::MAX, 0)?;
    let scorer = cuda(&batch, device).group_size(12).build()?;
    assert_eq!(kernels(&scorer, &networks)?, expected);
    Ok(())
}

fn no_memory() -> Outcome {
    let batch = noise(5, 2);
    // The ReLU of the image needs next to nothing, the other is too much.
    let wide = |g: &mut naswot::GraphBuilder| -> naswot::Result<naswot::NodeId> {
        let x = g.conv(g.input(), naswot::Conv::new(6000, 1), "wide.weight")?;
        let x = g.batch_norm(x, "wide.norm")?;
        g.relu(x)
    };
    let mut g = Graph::builder(3)?;
    let x = wide(&mut g)?;
    let wide = Network::from_graph("wide", g.output(x)?);
    let networks = [relu_of_the_image(), wide, relu_of_the_image()];
    let scores =
        cuda(&batch, Faulty::device(5 * MIB, u64::MAX, 0)?).group_size(3).build()?.score_all(&networks);
    assert!(scores[0].is_ok() && scores[2].is_ok(), "{scores:?}");
    assert!(matches!(&scores[1], Err(Error::DeviceMemory { needed, .. }) if *needed > 5 * MIB), "{scores:?}");
    Ok(())
}

fn lost() -> Outcome {
    let (batch, networks) = (noise(5, 2), mixed(12));
    let expected = kernels(&cuda(&batch, shim()?).build()?, &networks)?;
    // In the first group, in the second one, with two in flight.
    for launches in [20, 100, 150] {
        let scorer = cuda(&batch, Faulty::device(u64::MAX, launches, 1)?).group_size(3).build()?;
        assert_eq!(kernels(&scorer, &networks)?, expected, "lost after {launches} launches");
    }
    let scorer = cuda(&batch, Faulty::device(u64::MAX, 20, u64::MAX)?).group_size(3).build()?;
    let errors: Vec<Error> = scorer.score_all(&networks).into_iter().filter_map(Result::err).collect();
    assert!(!errors.is_empty());
    for error in &errors {
        let text = error.to_string();
        assert!(error.is_fatal() && text.contains("lost, and again after it was opened anew"), "{text}");
    }
    Ok(())
}

fn not_finite() -> Outcome {
    let huge = Batch::new([4, 3, 2, 2], (0..48).map(|i| if i % 2 == 0 { 3e38 } else { -3e38 }).collect())?;
    let mut g = Graph::builder(3)?;
    let sum = g.add(&[g.input(), g.input()])?;
    let relu = g.relu(sum)?;
    let sum = Network::from_graph("sum", g.output(relu)?);
    let networks = [relu_of_the_image(), sum, relu_of_the_image()];
    let scores = cuda(&huge, shim()?).group_size(3).build()?.score_all(&networks);
    assert!(scores[0].is_ok() && scores[2].is_ok());
    assert!(matches!(&scores[1], Err(Error::NonFinite { precision: "f32", .. })), "{:?}", scores[1]);
    Ok(())
}

fn too_large() -> Outcome {
    let (batch, networks) = (noise(8, 3), mixed(4));
    let scorer = cuda(&batch, shim()?).build()?;
    let bytes: Vec<u64> = networks.iter().map(|network| scorer.memory(network)).collect::<Result<_, _>>()?;
    let limit = bytes.iter().copied().max().unwrap_or(0) - 1;
    let scores = cuda(&batch, shim()?).memory_limit(limit).build()?.score_all(&networks);
    for (score, bytes) in scores.iter().zip(bytes) {
        match score {
            Ok(_) => assert!(bytes <= limit),
            Err(Error::Memory { needed, limit: told }) => assert!(needed > told && *told == limit),
            Err(error) => return Err(error.to_string().into()),
        }
    }
    assert!(scores.iter().any(Result::is_err) && scores.iter().any(Result::is_ok));
    Ok(())
}

fn at_once() -> Outcome {
    let (batch, networks) = (noise(4, 3), mixed(8));
    let scorer = cuda(&batch, shim()?).group_size(2).build()?;
    let expected = kernels(&cpu(&batch).build()?, &networks)?;
    let mut stream = scorer.stream(networks.clone().into_iter().cycle());
    for (i, expected) in expected.iter().enumerate() {
        let score = expected.log_det;
        let streamed = stream.next().ok_or("the stream has ended")??;
        let alone = scorer.score(&networks[i])?;
        assert_eq!(streamed.log_det, alone.log_det);
        assert!((alone.log_det - score).abs() <= 1e-3 || alone.log_det == score);
    }
    Ok(())
}

fn waits() -> Outcome {
    answers_a_producer_that_waits(&cuda(&noise(2, 9), shim()?).build()?, mixed(4));
    Ok(())
}

fn precision() -> Outcome {
    let error = cuda(&noise(1, 0), shim()?).precision(Precision::F64).build().err().ok_or("f64 was taken")?;
    assert!(matches!(error, Error::Setting { name: "precision", .. }), "{error}");
    Ok(())
}
