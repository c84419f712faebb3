//! The ladder of each stage: what the CPU twins reach, shape by shape, on one thread.
//!
//!     cargo bench --bench stages [-- f32|f64]
//!
//! A convolution is a graph of its own: image, convolution, batch norm, ReLU. A probe tells its time from that
//! of the stages around it, so this is what a run does, and no special path.

use std::sync::Arc;
use std::time::Duration;

use naswot::measure::{Probe, Stage};
use naswot::{Batch, Conv, Convention, Graph, Network, Precision, Scorer};

/// Height and width, kernel, input and output channels.
const CONVS: [(usize, usize, usize, usize); 11] = [
    (32, 3, 3, 16),
    (32, 3, 16, 16),
    (16, 3, 32, 32),
    (8, 3, 64, 64),
    (32, 3, 5, 5),
    (32, 3, 11, 11),
    (16, 3, 21, 21),
    (8, 3, 43, 43),
    (32, 1, 16, 16),
    (16, 1, 32, 32),
    (8, 1, 64, 64),
];
const IMAGES: usize = 32;
/// Channels and images for K and its determinant; the images are 32 x 32 pixels.
const KERNELS: [(usize, usize); 3] = [(64, 32), (64, 128), (8, 1024)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to see that it runs.
    let trials = if arguments.iter().any(|argument| argument == "--bench") { 9 } else { 1 };
    let chosen = |precision: &Precision| {
        let others = ["f32", "f64"].iter().any(|name| arguments.iter().any(|argument| argument == name));
        !others || arguments.iter().any(|argument| argument == precision.name())
    };
    for precision in [Precision::F32, Precision::F64].into_iter().filter(chosen) {
        println!("conv, {precision}, N = {IMAGES}, one thread: GFLOP/s of all multiplications and additions");
        for (size, kernel, from, to) in CONVS {
            let network = conv(kernel, from, to);
            let time = fastest(&network, [IMAGES, from, size, size], precision, Stage::Conv, trials);
            let flop = 2 * network.macs(size, size).unwrap() * IMAGES as u64;
            let rate = flop as f64 / time.as_secs_f64() / 1e9;
            println!("  {kernel}x{kernel} {size:>2}x{size:<2} {from:>3} -> {to:<3} {rate:>7.1}");
        }
    }
    println!("agreement and cholesky, one thread");
    for (channels, images) in KERNELS {
        let network = relu(channels);
        let shape = [images, channels, 32, 32];
        let time = |stage| fastest(&network, shape, Precision::F32, stage, trials).as_secs_f64();
        let bits = network.activations(32, 32, Convention::Relu).unwrap();
        let pairs = images as f64 * (images as f64 - 1.0) / 2.0;
        let (agreement, cholesky) = (time(Stage::Agreement), time(Stage::Cholesky));
        let rate = pairs * bits as f64 / agreement / 1e9;
        println!(
            "  N = {images:<5} {bits:>6} bits: agreement {:>9.3} ms, {rate:>6.0} Gbit/s",
            1e3 * agreement
        );
        println!("  N = {images:<5}              cholesky  {:>9.3} ms", 1e3 * cholesky);
    }
}

/// Image, convolution, batch norm, ReLU.
fn conv(kernel: usize, from: usize, to: usize) -> Network {
    let mut graph = Graph::builder(from).unwrap();
    let conv = Conv::new(to, kernel).padding(kernel / 2);
    let x = graph.conv(graph.input(), conv, "conv.weight").unwrap();
    let x = graph.batch_norm(x, "norm").unwrap();
    let x = graph.relu(x).unwrap();
    Network::from_graph("conv", graph.output(x).unwrap())
}

/// Image, ReLU: codes and nothing else.
fn relu(channels: usize) -> Network {
    let mut graph = Graph::builder(channels).unwrap();
    let x = graph.relu(graph.input()).unwrap();
    Network::from_graph("relu", graph.output(x).unwrap())
}

/// Time of a stage in the fastest of some trials.
fn fastest(
    network: &Network,
    shape: [usize; 4],
    precision: Precision,
    stage: Stage,
    trials: usize,
) -> Duration {
    let probe = Arc::new(Probe::default());
    let builder = Scorer::builder(batch(shape)).precision(precision).threads(1);
    let scorer = builder.probe(Arc::clone(&probe)).build().unwrap();
    let trial = || {
        let before = probe.time(stage);
        scorer.score(network).unwrap();
        probe.time(stage) - before
    };
    // The first one makes room and weights.
    trial();
    (0..trials).map(|_| trial()).min().unwrap()
}

/// Numbers from -1 to 1 without a pattern.
fn batch(shape: [usize; 4]) -> Batch {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    Batch::new(shape, (0..shape.iter().product()).map(|_| next()).collect()).unwrap()
}
