//! The case table of the stages: small networks, each of which puts one stage to work in a shape that has gone wrong
//! somewhere. Tests, the kernels' shim and benches share it.

use crate::graph::{Conv, Convention, Graph, GraphBuilder, Multiplicity, NodeId, Window};
use crate::probe::Stage;
use crate::random::{Domain, Rng};
use crate::{Batch, Network, Result};

/// A network and a batch for one stage.
#[derive(Clone, Debug)]
pub struct Case {
    /// The stage that it is about; the others run too.
    pub stage: Stage,
    /// What is particular about it.
    pub name: String,
    /// The network.
    pub network: Network,
    /// N x C x H x W of the batch.
    pub shape: [usize; 4],
    /// How ReLUs count.
    pub convention: Convention,
}

impl Case {
    /// Largest difference of two numbers, by the largest number of the launch, that f32 explains; zero where arithmetic is
    /// integer.
    pub fn tolerance(stage: Stage) -> f64 {
        match stage {
            Stage::Conv | Stage::BatchNorm | Stage::Combine | Stage::Gram | Stage::Spectrum => 1e-5,
            // Pivots in f32 against f64.
            Stage::Cholesky => 1e-4,
            Stage::Weights | Stage::Agreement | Stage::Swap | Stage::Plan => 0.0,
        }
    }

    /// Images of roughly normal numbers, some of which are exactly zero.
    ///
    /// # Errors
    /// None for the shapes of the table.
    pub fn batch(&self, seed: u64) -> Result<Batch> {
        let mut rng = Rng::new(seed, Domain::Images, &self.name);
        let mut number = || {
            let sum: i64 = (0..4).map(|_| i64::from(rng.below(1 << 16)) - (1 << 15)).sum();
            if rng.below(8) == 0 { 0.0 } else { sum as f32 / 37_838.0 }
        };
        Batch::new(self.shape, (0..self.shape.iter().product()).map(|_| number()).collect())
    }

    /// Floating-point operations of the convolutions on the whole batch.
    ///
    /// # Errors
    /// None for the shapes of the table.
    pub fn flop(&self) -> Result<u64> {
        Ok(2 * self.network.macs(self.shape[2], self.shape[3])? * self.shape[0] as u64)
    }
}

/// What follows a value that is to be looked at.
fn norm_relu(g: &mut GraphBuilder, x: NodeId, name: &str) -> Result<NodeId> {
    let x = g.batch_norm(x, &format!("{name}.norm"))?;
    g.relu(x)
}

fn conv(g: &mut GraphBuilder, x: NodeId, conv: Conv, name: &str) -> Result<NodeId> {
    let x = g.conv(x, conv, &format!("{name}.weight"))?;
    norm_relu(g, x, name)
}

/// 1x1 convolutions of the input, for something to combine.
fn parts(g: &mut GraphBuilder, channels: &[usize]) -> Result<Vec<NodeId>> {
    let x = g.input();
    channels.iter().enumerate().map(|(i, &c)| conv(g, x, Conv::new(c, 1), &format!("part{i}"))).collect()
}

fn case(
    stage: Stage,
    name: impl Into<String>,
    shape: [usize; 4],
    build: impl FnOnce(&mut GraphBuilder) -> Result<NodeId>,
) -> Result<Case> {
    let name = name.into();
    let mut g = Graph::builder(shape[1])?;
    let output = build(&mut g)?;
    let network = Network::from_graph(name.as_str(), g.output(output)?);
    Ok(Case { stage, name, network, shape, convention: Convention::Relu })
}

/// The table, and some cases that the seed draws.
///
/// # Errors
/// None: every case is a network.
pub fn cases(seed: u64) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    convs(&mut cases)?;
    combines(&mut cases)?;
    batch_norms(&mut cases)?;
    codes(&mut cases)?;
    for i in 0..6 {
        let mut rng = Rng::new(seed, Domain::Sampling, &format!("case {i}"));
        cases.push(random_conv(&mut rng, i)?);
        cases.push(random_combine(&mut rng, i)?);
    }
    Ok(cases)
}

fn convs(cases: &mut Vec<Case>) -> Result<()> {
    let plain = |out: usize, kernel: usize| Conv::new(out, kernel).padding(kernel / 2);
    for (name, shape, geometry) in [
        ("stem", [3, 3, 8, 8], plain(16, 3)),
        ("odd channels", [2, 5, 7, 6], plain(11, 3)),
        ("one pixel of many channels", [4, 40, 1, 1], plain(9, 1)),
        ("one image", [1, 12, 9, 9], plain(43, 3)),
        ("64 channels, a tile", [2, 16, 8, 8], plain(64, 1)),
        ("stride 2", [2, 17, 9, 8], plain(24, 3).stride(2)),
        ("wider than its tile", [1, 24, 6, 5], plain(150, 1)),
        ("wide, 3x3", [1, 20, 5, 5], plain(70, 3)),
        ("dilated", [1, 8, 9, 9], Conv { dilation: [2, 2], ..Conv::new(8, 3).padding(2) }),
        ("oblong", [2, 4, 6, 11], Conv { kernel: [1, 5], padding: [0, 2], ..Conv::new(6, 1) }),
        ("blocks of two tiles", [17, 3, 32, 32], Conv::new(4, 1)),
        ("square of 32", [1, 9, 32, 32], plain(13, 3)),
        ("square of 16", [3, 24, 16, 16], plain(43, 3)),
        ("square of 8", [5, 19, 8, 8], plain(22, 3)),
        ("square, stride 2 to 16", [1, 12, 32, 32], plain(20, 3).stride(2)),
        ("square, stride 2 to 8", [3, 17, 16, 16], plain(40, 1).stride(2)),
        ("square, wider than its tile", [2, 12, 8, 8], plain(141, 3)),
        ("square, more than 576 products", [1, 72, 8, 8], plain(8, 3)),
    ] {
        cases.push(case(Stage::Conv, name, shape, |g| conv(g, g.input(), geometry, "a"))?);
    }
    cases.push(case(Stage::Conv, "merged projections", [3, 10, 6, 6], |g| {
        let parts = parts(g, &[13, 8, 27])?;
        g.concat(&parts)
    })?);
    cases.push(case(Stage::Conv, "ReLU on load, true scale", [2, 9, 6, 6], |g| {
        let a = g.conv(g.input(), Conv::new(9, 1), "a.weight")?;
        let sum = g.add(&[a, g.input()])?;
        let x = g.relu(sum)?;
        let x = g.conv(x, Conv::new(12, 3).padding(1), "b.weight")?;
        let x = norm_relu(g, x, "b")?;
        let shortcut = g.conv(sum, Conv::new(12, 1), "c.weight")?;
        let sum = g.add(&[x, shortcut])?;
        g.relu(sum)
    })?);
    Ok(())
}

fn combines(cases: &mut Vec<Case>) -> Result<()> {
    let mut add = |name: &str, shape, build: &dyn Fn(&mut GraphBuilder) -> Result<NodeId>| -> Result<()> {
        cases.push(case(Stage::Combine, name, shape, build)?);
        Ok(())
    };
    add("packed concat with a projection over it", [2, 7, 5, 5], &|g| {
        let parts = parts(g, &[5, 3, 9, 17])?;
        let concat = g.concat(&parts[..3])?;
        let x = g.add(&[concat, parts[3]])?;
        conv(g, x, Conv::new(8, 1), "after")
    })?;
    add("truncation", [2, 8, 6, 6], &|g| {
        let parts = parts(g, &[21, 13])?;
        let first = g.slice(parts[0], 13)?;
        let sum = g.add(&[first, parts[1]])?;
        conv(g, sum, Conv::new(8, 3).padding(1), "after")
    })?;
    add("more pixels than a tile", [2, 3, 13, 20], &|g| {
        let parts = parts(g, &[12, 12])?;
        g.add(&parts)
    })?;
    for (name, is_max, window) in [
        ("max 3x3", true, Window::new(3, 1, 1)),
        ("average 3x3, padding not counted", false, Window::new(3, 1, 1)),
        ("max 2x2, stride 2", true, Window::new(2, 2, 0)),
        ("average 2x2, stride 2", false, Window::new(2, 2, 0)),
        ("max 3x2, padded on one side", true, Window { kernel: [3, 2], stride: [1, 1], padding: [1, 0] }),
        (
            "average 2x3, padded, longer rows",
            false,
            Window { kernel: [2, 3], stride: [1, 1], padding: [1, 2] },
        ),
    ] {
        add(name, [2, 6, 6, 8], &|g| {
            let parts = parts(g, &[11, 11])?;
            let sum = g.add(&parts)?;
            let pool = if is_max { g.max_pool(sum, window)? } else { g.avg_pool(sum, window)? };
            let more = conv(g, pool, Conv::new(5, 1), "after")?;
            let relu = g.relu(pool)?;
            g.concat(&[more, relu])
        })?;
    }
    add("a pool that emits its source's bits", [2, 4, 5, 5], &|g| {
        let parts = parts(g, &[10])?;
        g.max_pool(parts[0], Window::new(3, 1, 1))
    })?;
    for (images, side) in [(2, 32), (3, 16), (5, 8)] {
        add(&format!("packed concat of squares of {side}"), [images, 7, side, side], &|g| {
            let parts = parts(g, &[5, 3, 9, 17])?;
            let concat = g.concat(&parts[..3])?;
            let x = g.add(&[concat, parts[3]])?;
            conv(g, x, Conv::new(8, 1), "after")
        })?;
        add(&format!("windows over squares of {side}"), [images, 6, side, side], &|g| {
            let parts = parts(g, &[11, 6, 11])?;
            let sum = g.add(&[parts[0], parts[2]])?;
            let max = g.max_pool(sum, Window::new(3, 1, 1))?;
            let average = g.avg_pool(parts[2], Window::new(3, 1, 1))?;
            let more = g.add(&[average, parts[0]])?;
            let all = g.concat(&[max, more, parts[1]])?;
            let relu = g.relu(all)?;
            g.max_pool(relu, Window::new(2, 2, 0))
        })?;
    }
    add("averages under other windows, alone and in a sum", [2, 6, 8, 8], &|g| {
        let parts = parts(g, &[9, 9])?;
        let average = g.avg_pool(parts[0], Window::new(3, 1, 1))?;
        let sum = g.add(&[average, parts[1]])?;
        let (two, three) = (Window::new(2, 2, 0), Window::new(3, 1, 1));
        let pools = [g.avg_pool(average, two)?, g.max_pool(sum, two)?];
        let again = g.max_pool(average, three)?;
        let again = g.avg_pool(again, two)?;
        let all = g.concat(&[pools[0], pools[1], again])?;
        g.relu(all)
    })?;
    add("average of a truncated term in a sum", [2, 6, 5, 7], &|g| {
        let parts = parts(g, &[14, 9])?;
        let first = g.slice(parts[0], 9)?;
        let average = g.avg_pool(first, Window::new(3, 1, 1))?;
        let sum = g.add(&[average, parts[1]])?;
        g.relu(sum)
    })?;
    add("zero", [2, 3, 4, 4], &|g| {
        let zero = g.zero(g.input())?;
        let relu = g.relu(zero)?;
        let parts = parts(g, &[3])?;
        g.concat(&[relu, parts[0]])
    })
}

fn batch_norms(cases: &mut Vec<Case>) -> Result<()> {
    cases.push(case(Stage::BatchNorm, "of stored sums", [3, 11, 7, 9], |g| {
        let parts = parts(g, &[11])?;
        let sum = g.add(&[parts[0], g.input()])?;
        let a = norm_relu(g, sum, "a")?;
        let b = norm_relu(g, sum, "b")?;
        let image = norm_relu(g, g.input(), "image")?;
        g.concat(&[a, b, image])
    })?);
    cases.push(case(Stage::BatchNorm, "of stored sums of squares", [5, 11, 8, 8], |g| {
        let parts = parts(g, &[11])?;
        let sum = g.add(&[parts[0], g.input()])?;
        norm_relu(g, sum, "a")
    })?);
    cases.push(case(Stage::BatchNorm, "of the image, blocks of several runs", [17, 3, 32, 32], |g| {
        norm_relu(g, g.input(), "image")
    })?);
    Ok(())
}

fn codes(cases: &mut Vec<Case>) -> Result<()> {
    for images in [1, 2, 7, 31, 32, 33, 70, 130] {
        let name = format!("{images} images");
        let shape = [images, 19, 3, 3];
        cases.push(case(Stage::Agreement, name, shape, |g| {
            let twice = g.relu_counted(g.input(), Multiplicity::RELU_CONV_BN)?;
            let parts = parts(g, &[9])?;
            g.concat(&[twice, parts[0]])
        })?);
        if let Some(case) = cases.last_mut() {
            case.convention = Convention::Original;
        }
    }
    cases
        .push(case(Stage::Agreement, "jobs of 4096 words and more", [3, 64, 50, 50], |g| g.relu(g.input()))?);
    // Of few images a block marks patterns for itself first; these take two tiles, with pad bits in every pixel.
    for images in [9, 17] {
        let name = format!("patterns of {images} images");
        cases.push(case(Stage::Swap, name, [images, 41, 37, 37], |g| g.relu(g.input()))?);
    }
    cases.push(case(Stage::Swap, "patterns of zeros", [4, 3, 4, 4], |g| {
        let zero = g.zero(g.input())?;
        let (zero, image) = (g.relu(zero)?, g.relu(g.input())?);
        g.concat(&[zero, image])
    })?);
    cases.push(case(Stage::Cholesky, "300 images", [300, 24, 4, 4], |g| g.relu(g.input()))?);
    Ok(())
}

fn random_conv(rng: &mut Rng, i: usize) -> Result<Case> {
    let mut draw = |from: u32, to: u32| (from + rng.below(to - from + 1)) as usize;
    let kernel = [draw(1, 4), draw(1, 4)];
    let geometry = Conv {
        kernel,
        stride: [draw(1, 3), draw(1, 3)],
        padding: [draw(0, 2), draw(0, 2)],
        dilation: [draw(1, 2), draw(1, 2)],
        ..Conv::new(draw(1, 80), 1)
    };
    let reach = [0, 1].map(|axis| (kernel[axis] - 1) * geometry.dilation[axis] + 1);
    let shape = [draw(1, 3), draw(1, 30), reach[0] + draw(0, 6), reach[1] + draw(0, 6)];
    // A batch norm over a single value is an error.
    let shape = if shape[0] == 1 { [2, shape[1], shape[2], shape[3]] } else { shape };
    case(Stage::Conv, format!("random {i}: {geometry:?} of {shape:?}"), shape, |g| {
        conv(g, g.input(), geometry, "a")
    })
}

fn random_combine(rng: &mut Rng, i: usize) -> Result<Case> {
    let mut draw = |from: u32, to: u32| (from + rng.below(to - from + 1)) as usize;
    let shape = [draw(2, 3), draw(1, 20), draw(3, 9), draw(3, 9)];
    let channels = [draw(1, 30), draw(1, 30), draw(1, 30)];
    let (averages, pools, kernel) = (draw(0, 1) == 1, draw(0, 2), draw(2, 3));
    let all = channels.iter().sum::<usize>();
    let name = format!("random {i}: {channels:?} of {shape:?}, {averages} {pools} {kernel}");
    case(Stage::Combine, name, shape, |g| {
        let mut sources = parts(g, &[channels[0], channels[1], channels[2], all + 3])?;
        if averages {
            sources[1] = g.avg_pool(sources[1], Window::new(3, 1, 1))?;
        }
        let concat = g.concat(&sources[..3])?;
        let slice = g.slice(sources[3], all)?;
        let sum = g.add(&[concat, slice, concat])?;
        let window = Window { kernel: [kernel, 3], stride: [1, 1], padding: [1, 1] };
        let x = match pools {
            0 => sum,
            1 => g.max_pool(sum, window)?,
            _ => g.avg_pool(sum, window)?,
        };
        let relu = g.relu(x)?;
        let more = conv(g, x, Conv::new(4, 1), "after")?;
        g.concat(&[relu, more])
    })
}
