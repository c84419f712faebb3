//! The ladder of each stage: what the CPU reaches, shape by shape, on one thread (with statistics), and what a GPU
//! does in groups.
//!
//!     cargo bench --bench stages [-- f32|f64|wgpu|wgpu:NAME]
//!
//! `wgpu` is left out where the best adapter is a software one, unless it is named: its speed says nothing.
//!
//! A convolution is a graph of its own: image, convolution, batch norm, ReLU. A probe tells its time from that
//! of the stages around it, so this is what a run does, and no special path.

use std::sync::Arc;
use std::time::Duration;

use naswot::testing::cases;
use naswot::{Backend, Batch, Conv, Convention, Graph, Network, Precision, Probe, Scorer, Scores, Stage};

/// Height and width, kernel, input and output channels.
const CONVS: [(usize, usize, usize, usize); 16] = [
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
    (32, 1, 16, 5),
    (32, 1, 11, 11),
    (16, 1, 21, 21),
    (32, 1, 16, 32),
    (8, 1, 43, 43),
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
    let gpu = arguments.iter().find(|argument| argument.starts_with("wgpu"));
    if let Some(backend) = gpu.and_then(|name| name.parse().ok()).filter(|backend| *backend != Backend::Auto)
    {
        return gpu_stages(&backend, trials);
    }
    for precision in [Precision::F32, Precision::F64].into_iter().filter(chosen) {
        println!("conv, {precision}, N = {IMAGES}, one thread: GFLOP/s of all multiplications and additions");
        for (size, kernel, from, to) in CONVS {
            let network = conv(kernel, from, to);
            let cpu = Device { backend: Backend::Cpu, precision, copies: 1 };
            let time = fastest(&network, [IMAGES, from, size, size], &cpu, Stage::Conv, trials);
            let flop = 2 * network.macs(size, size).unwrap() * IMAGES as u64;
            let rate = flop as f64 / time.as_secs_f64() / 1e9;
            println!("  {kernel}x{kernel} {size:>2}x{size:<2} {from:>3} -> {to:<3} {rate:>7.1}");
        }
    }
    println!("agreement, cholesky and swap, one thread");
    for (channels, images) in KERNELS {
        let network = relu(channels);
        let shape = [images, channels, 32, 32];
        let cpu = Device { backend: Backend::Cpu, precision: Precision::F32, copies: 1 };
        let time = |stage| fastest(&network, shape, &cpu, stage, trials).as_secs_f64();
        let bits = network.activations(32, 32, Convention::Relu).unwrap();
        let pairs = images as f64 * (images as f64 - 1.0) / 2.0;
        let (agreement, cholesky) = (time(Stage::Agreement), time(Stage::Cholesky));
        let rate = pairs * bits as f64 / agreement / 1e9;
        println!(
            "  N = {images:<5} {bits:>6} bits: agreement {:>9.3} ms, {rate:>6.0} Gbit/s",
            1e3 * agreement
        );
        println!("  N = {images:<5}              cholesky  {:>9.3} ms", 1e3 * cholesky);
        let swap = time(Stage::Swap);
        let rate = bits as f64 / swap / 1e9;
        println!("  N = {images:<5} {bits:>6} units: swap      {:>9.3} ms, {rate:>6.2} Gunit/s", 1e3 * swap);
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

/// Networks of a group on a GPU: enough to fill it.
const COPIES: usize = 32;

/// What a GPU does: convolutions of the ladder, and the shared case table stage by stage.
fn gpu_stages(backend: &Backend, trials: usize) {
    let devices = naswot::devices();
    let best = devices.iter().find(|device| device.backend.starts_with("wgpu") && device.unusable.is_none());
    match best {
        Some(best) if best.software && *backend == Backend::Wgpu(None) => {
            println!("{} is the only adapter: name it to measure it all the same", best.name);
            return;
        }
        Some(_) => {}
        None => {
            println!("no adapter");
            return;
        }
    }
    let device = Device { backend: backend.clone(), precision: Precision::F32, copies: COPIES };
    println!("conv, {backend}, N = {IMAGES}, groups of {COPIES}: microseconds a network, GFLOP/s");
    for (size, kernel, from, to) in CONVS {
        let network = conv(kernel, from, to);
        let time = fastest(&network, [IMAGES, from, size, size], &device, Stage::Conv, trials).as_secs_f64();
        let flop = 2 * network.macs(size, size).unwrap() * IMAGES as u64;
        println!(
            "  {kernel}x{kernel} {size:>2}x{size:<2} {from:>3} -> {to:<3} {:>9.2} {:>7.1}",
            1e6 * time,
            flop as f64 / time / 1e9
        );
    }
    println!(
        "cases, {backend}, groups of {COPIES}: microseconds a network of the stage that the case is about"
    );
    for case in cases(0).unwrap() {
        let scorer = Scorer::builder(case.batch(0).unwrap()).backend(backend.clone()).build().unwrap();
        let plan = scorer.plan(&case.network).unwrap();
        let time = fastest(&case.network, case.shape, &device, case.stage, trials).as_secs_f64();
        let bytes = case
            .stage
            .bytes(&plan, 4)
            .map_or(String::new(), |bytes| format!("{:>7.2} GB/s", bytes as f64 / time / 1e9));
        println!("  {:>10} {:<60.60} {:>9.2} {bytes}", case.stage.name(), case.name, 1e6 * time);
    }
}

/// A device, and how many copies of a network run on it at once.
struct Device {
    backend: Backend,
    precision: Precision,
    copies: usize,
}

/// Time of a stage in the fastest of some trials, for each network.
fn fastest(network: &Network, shape: [usize; 4], device: &Device, stage: Stage, trials: usize) -> Duration {
    let networks = vec![network.clone(); device.copies];
    let probe = Arc::new(Probe::default());
    let builder = Scorer::builder(batch(shape)).backend(device.backend.clone()).precision(device.precision);
    let builder = builder.threads(1).group_size(device.copies).probe(Arc::clone(&probe));
    // All stages have work.
    let builder = builder.scores(Scores::everywhere());
    let scorer = builder.build().unwrap();
    let trial = || {
        let before = probe.time(stage);
        scorer.score_all(&networks).into_iter().for_each(|score| drop(score.unwrap()));
        (probe.time(stage) - before) / device.copies as u32
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
