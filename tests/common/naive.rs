//! The definition, as plainly as it can be written: a graph is evaluated node by node in f64, codes are lists of
//! booleans, and K counts where two of them agree. Nothing is shared with the library but the description of the
//! graph.
//!
//! Each number carries a bound on its rounding error, so that the test knows where a sign is in doubt: there
//! another order of the same sum may flip a bit, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use naswot::{Convention, Graph, Op, Window};

/// Relative rounding error of a sum of up to a few thousand products in f64.
pub const DOUBLE: f64 = 1e-13;
/// The same in f32, where a convolution may take a form that rounds more than a plain sum.
pub const SINGLE: f64 = 2e-5;

/// Weights, gammas and betas by their names in a PyTorch state dict.
pub type Parameters = BTreeMap<String, Vec<f32>>;

/// What a network gives on a batch.
pub struct Evaluation {
    /// K, row by row.
    pub kernel: Vec<u32>,
    /// N_A.
    pub activations: u64,
    /// For each image, how many of its code bits are in doubt.
    pub doubtful: Vec<u32>,
    /// Distinct columns of the code matrix: what a unit does with all images.
    pub patterns: usize,
    /// Units with a bit in doubt.
    pub doubtful_units: usize,
    /// Convolutions with a path to the output.
    pub convolutions: u64,
}

impl Evaluation {
    /// Whether another count of patterns differs by no more than the units in doubt explain.
    pub fn allows_patterns(&self, patterns: f64) -> bool {
        (patterns - self.patterns as f64).abs() <= self.doubtful_units as f64
    }

    /// Whether another K differs by no more than the bits in doubt explain.
    pub fn allows(&self, kernel: &[u32]) -> bool {
        let n = self.doubtful.len();
        kernel.len() == n * n
            && self.kernel.iter().zip(kernel).enumerate().all(|(e, (&a, &b))| {
                let (i, j) = (e / n, e % n);
                let doubt = if i == j { 0 } else { self.doubtful[i] + self.doubtful[j] };
                a.abs_diff(b) <= doubt
            })
    }
}

/// N x C x H x W numbers, and a bound on the error of each.
#[derive(Clone)]
struct Tensor {
    shape: [usize; 4],
    values: Vec<f64>,
    errors: Vec<f64>,
    /// Relative rounding error of a sum.
    unit: f64,
}

impl Tensor {
    fn new(shape: [usize; 4], unit: f64) -> Self {
        let length = shape.iter().product();
        Tensor { shape, values: vec![0.0; length], errors: vec![0.0; length], unit }
    }

    /// Whether sums of integers are exact, in whatever form they are taken.
    fn is_exact(&self) -> bool {
        self.unit == DOUBLE
    }

    fn at(&self, n: usize, c: usize, y: usize, x: usize) -> usize {
        let [_, channels, height, width] = self.shape;
        ((n * channels + c) * height + y) * width + x
    }

    /// Every position, image by image.
    fn positions(&self) -> impl Iterator<Item = [usize; 4]> + use<> {
        let [images, channels, height, width] = self.shape;
        (0..images * channels * height * width).map(move |e| {
            [e / width / height / channels, e / width / height % channels, e / width % height, e % width]
        })
    }

    /// A tensor whose numbers are computed one by one, as (value, error).
    fn from_fn(shape: [usize; 4], unit: f64, mut number: impl FnMut([usize; 4]) -> (f64, f64)) -> Self {
        let mut tensor = Tensor::new(shape, unit);
        for (e, position) in tensor.positions().enumerate() {
            (tensor.values[e], tensor.errors[e]) = number(position);
        }
        tensor
    }
}

/// Evaluates a graph on a batch of N x C x H x W images.
pub fn evaluate(
    graph: &Graph,
    shape: [usize; 4],
    images: &[f32],
    parameters: &Parameters,
    convention: Convention,
    unit: f64,
) -> Evaluation {
    let mut tensors: Vec<Tensor> = Vec::new();
    for node in graph.nodes() {
        let inputs: Vec<&Tensor> = node.inputs().iter().map(|input| &tensors[input.index()]).collect();
        let tensor = match node.op() {
            Op::Input => Tensor {
                shape,
                values: images.iter().map(|&v| f64::from(v)).collect(),
                errors: vec![0.0; images.len()],
                unit,
            },
            Op::Conv(conv) => convolve(inputs[0], conv, &parameters[node.name()]),
            Op::BatchNorm { eps } => {
                let part = |part| &parameters[&format!("{}.{part}", node.name())];
                batch_norm(inputs[0], part("weight"), part("bias"), eps.get())
            }
            Op::Relu(_) => relu(inputs[0]),
            Op::MaxPool(window) => pool(inputs[0], window, true),
            Op::AvgPool(window) => pool(inputs[0], window, false),
            Op::Add => add(&inputs),
            Op::Concat => concat(&inputs),
            Op::Slice { channels } => slice(inputs[0], *channels),
            Op::Zero => Tensor::new(inputs[0].shape, unit),
            other => panic!("the interpreter does not know {other:?}"),
        };
        tensors.push(tensor);
    }
    let mut codes = vec![Vec::new(); shape[0]];
    let mut doubtful = vec![0; shape[0]];
    let (mut doubtful_units, mut convolutions) = (0, 0);
    for (node, reached) in graph.nodes().iter().zip(reaches_output(graph)) {
        if !reached {
            continue;
        }
        convolutions += u64::from(matches!(node.op(), Op::Conv(_)));
        let Op::Relu(counts) = node.op() else { continue };
        let input = &tensors[node.inputs()[0].index()];
        let is_doubtful = |e: usize| input.errors[e] > 0.0 && input.values[e].abs() <= input.errors[e];
        for _ in 0..counts.under(convention) {
            for (e, [n, ..]) in input.positions().enumerate() {
                codes[n].push(input.values[e] > 0.0);
                doubtful[n] += u32::from(is_doubtful(e));
            }
        }
        let units = input.values.len() / shape[0];
        doubtful_units += (0..units).filter(|u| (0..shape[0]).any(|n| is_doubtful(n * units + u))).count();
    }
    let columns = (0..codes[0].len()).map(|u| codes.iter().map(|code| code[u]).collect::<Vec<bool>>());
    let patterns = columns.collect::<BTreeSet<Vec<bool>>>().len();
    let agreement = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| a == b).count() as u32;
    let kernel = codes.iter().flat_map(|a| codes.iter().map(|b| agreement(a, b))).collect();
    Evaluation {
        kernel,
        activations: codes[0].len() as u64,
        doubtful,
        patterns,
        doubtful_units,
        convolutions,
    }
}

/// For each node, whether a path of edges leads from it to the output.
fn reaches_output(graph: &Graph) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes().len()];
    let mut stack = vec![graph.output().index()];
    while let Some(node) = stack.pop() {
        if !std::mem::replace(&mut reached[node], true) {
            stack.extend(graph.nodes()[node].inputs().iter().map(|input| input.index()));
        }
    }
    reached
}

fn convolve(x: &Tensor, conv: &naswot::Conv, weight: &[f32]) -> Tensor {
    let [images, in_channels, height, width] = x.shape;
    let [rows, columns] = conv.kernel;
    let size = |axis: usize, size: usize| {
        (size + 2 * conv.padding[axis] - conv.dilation[axis] * (conv.kernel[axis] - 1) - 1)
            / conv.stride[axis]
            + 1
    };
    let (inputs, outputs) = (in_channels / conv.groups, conv.out_channels / conv.groups);
    Tensor::from_fn([images, conv.out_channels, size(0, height), size(1, width)], x.unit, |[n, k, oy, ox]| {
        let (mut sum, mut error, mut integers) = (0.0, 0.0, true);
        for c in 0..inputs {
            for r in 0..rows {
                for s in 0..columns {
                    let y = oy * conv.stride[0] + r * conv.dilation[0];
                    let x_ = ox * conv.stride[1] + s * conv.dilation[1];
                    let inside = (conv.padding[0]..height + conv.padding[0]).contains(&y)
                        && (conv.padding[1]..width + conv.padding[1]).contains(&x_);
                    if !inside {
                        continue;
                    }
                    let at = x.at(n, k / outputs * inputs + c, y - conv.padding[0], x_ - conv.padding[1]);
                    let w = f64::from(weight[((k * inputs + c) * rows + r) * columns + s]);
                    sum += w * x.values[at];
                    error += w.abs() * (x.errors[at] + x.unit * x.values[at].abs());
                    integers &= x.is_exact()
                        && x.errors[at] == 0.0
                        && x.values[at].fract() == 0.0
                        && w.fract() == 0.0;
                }
            }
        }
        (sum, if integers { 0.0 } else { error })
    })
}

/// With the statistics of the batch, as in training: the variance is that of the batch, not an estimate.
fn batch_norm(x: &Tensor, gamma: &[f32], beta: &[f32], eps: f64) -> Tensor {
    let mut out = x.clone();
    for c in 0..x.shape[1] {
        let places: Vec<usize> =
            x.positions().enumerate().filter(|(_, position)| position[1] == c).map(|(e, _)| e).collect();
        let count = places.len() as f64;
        let mean = places.iter().map(|&e| x.values[e]).sum::<f64>() / count;
        let variance = places.iter().map(|&e| (x.values[e] - mean).powi(2)).sum::<f64>() / count;
        let (gamma, beta) = (f64::from(gamma[c]), f64::from(beta[c]));
        let a = gamma / (variance + eps).sqrt();
        // Of any element, hence of the mean; and what it does to a.
        let error = places.iter().map(|&e| x.errors[e] + x.unit * x.values[e].abs()).fold(0.0, f64::max);
        let relative = 2.0 * error * variance.sqrt() / (variance + eps) + x.unit;
        for e in places {
            out.values[e] = (x.values[e] - mean) * a + beta;
            out.errors[e] = a.abs() * (x.errors[e] + error + (x.values[e] - mean).abs() * relative)
                + x.unit * (a * beta).abs();
        }
    }
    out
}

fn relu(x: &Tensor) -> Tensor {
    let mut out = x.clone();
    for (value, error) in out.values.iter_mut().zip(&mut out.errors) {
        if *value < -*error {
            *error = 0.0;
        }
        *value = value.max(0.0);
    }
    out
}

/// Padding never wins a maximum and never counts in an average.
fn pool(x: &Tensor, window: &Window, max: bool) -> Tensor {
    let [images, channels, height, width] = x.shape;
    let size = |axis: usize, size: usize| {
        (size + 2 * window.padding[axis] - window.kernel[axis]) / window.stride[axis] + 1
    };
    Tensor::from_fn([images, channels, size(0, height), size(1, width)], x.unit, |[n, c, oy, ox]| {
        let mut inside = Vec::new();
        for r in 0..window.kernel[0] {
            for s in 0..window.kernel[1] {
                let y = oy * window.stride[0] + r;
                let x_ = ox * window.stride[1] + s;
                if (window.padding[0]..height + window.padding[0]).contains(&y)
                    && (window.padding[1]..width + window.padding[1]).contains(&x_)
                {
                    inside.push(x.at(n, c, y - window.padding[0], x_ - window.padding[1]));
                }
            }
        }
        let values = inside.iter().map(|&at| x.values[at]);
        let errors = inside.iter().map(|&at| x.errors[at]);
        if max {
            return (values.fold(f64::NEG_INFINITY, f64::max), errors.fold(0.0, f64::max));
        }
        let count = inside.len() as f64;
        let magnitude = values.clone().map(f64::abs).sum::<f64>();
        (values.sum::<f64>() / count, (errors.sum::<f64>() + x.unit * magnitude) / count)
    })
}

fn add(inputs: &[&Tensor]) -> Tensor {
    Tensor::from_fn(inputs[0].shape, inputs[0].unit, |[n, c, y, x]| {
        let at = inputs[0].at(n, c, y, x);
        let values = inputs.iter().map(|input| input.values[at]);
        let errors = inputs.iter().map(|input| input.errors[at]).sum::<f64>();
        let exact = inputs[0].is_exact() && errors == 0.0 && values.clone().all(|value| value.fract() == 0.0);
        let magnitude = values.clone().map(f64::abs).sum::<f64>();
        (values.sum(), if exact { 0.0 } else { errors + inputs[0].unit * magnitude })
    })
}

fn concat(inputs: &[&Tensor]) -> Tensor {
    let [images, _, height, width] = inputs[0].shape;
    let sources: Vec<(&Tensor, usize)> =
        inputs.iter().flat_map(|&input| (0..input.shape[1]).map(move |c| (input, c))).collect();
    Tensor::from_fn([images, sources.len(), height, width], inputs[0].unit, |[n, c, y, x]| {
        let (input, c) = sources[c];
        let at = input.at(n, c, y, x);
        (input.values[at], input.errors[at])
    })
}

fn slice(x: &Tensor, channels: usize) -> Tensor {
    let [images, _, height, width] = x.shape;
    Tensor::from_fn([images, channels, height, width], x.unit, |[n, c, y, x_]| {
        let at = x.at(n, c, y, x_);
        (x.values[at], x.errors[at])
    })
}
