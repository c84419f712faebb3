//! The operations of a graph's nodes.

use crate::{Error, Result};

/// The largest size, distance in pixels or number of channels, so that sums and products of two of them fit 64 bits.
pub(super) const LARGEST: usize = i32::MAX as usize;

/// Most numbers of a tensor, and most weights of a convolution: 4 TiB in f32.
pub(crate) const MOST_NUMBERS: u64 = 1 << 40;

/// The product of sizes, where it is not above [`MOST_NUMBERS`].
pub(crate) fn numbers(sizes: &[usize]) -> Option<u64> {
    sizes.iter().try_fold(1u64, |product, &size| {
        product.checked_mul(size as u64).filter(|&product| product <= MOST_NUMBERS)
    })
}

/// The operation of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// The batch of images.
    Input,
    /// A convolution; the node's name is the name of its weight.
    Conv(Conv),
    /// A batch norm over the batch's own statistics; the node's name and `.weight` or `.bias` is the name
    /// of its gamma or beta.
    BatchNorm {
        /// Added to the variance.
        eps: Eps,
    },
    /// A ReLU.
    Relu(Multiplicity),
    /// Maximum over a window.
    MaxPool(Window),
    /// Average over a window, padding not counted in the divisor.
    AvgPool(Window),
    /// Elementwise sum.
    Add,
    /// Channels of all inputs, one after the other.
    Concat,
    /// The first channels of the input.
    Slice {
        /// How many channels stay.
        channels: usize,
    },
    /// Multiplication by zero (`none` of NAS-Bench-201).
    Zero,
}

/// The eps of a batch norm, a positive number.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Eps(f64);

impl Eq for Eps {}

impl std::hash::Hash for Eps {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Eps {
    /// PyTorch's default, 1e-5.
    pub const DEFAULT: Self = Eps(1e-5);

    /// Takes a finite number above zero.
    ///
    /// ```
    /// assert!(naswot::Eps::new(0.0).is_err());
    /// assert_eq!(naswot::Eps::new(1e-3).unwrap().get(), 1e-3);
    /// ```
    pub fn new(eps: f64) -> Result<Self> {
        if eps.is_finite() && eps > 0.0 {
            Ok(Eps(eps))
        } else {
            Err(Error::Setting { name: "eps", message: format!("{eps} is not a finite number above zero") })
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Op {
    /// The operation's name in tables and errors.
    ///
    /// ```
    /// assert_eq!(naswot::Op::Add.name(), "add");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Conv(_) => "conv",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Relu(_) => "relu",
            Op::MaxPool(_) => "max_pool",
            Op::AvgPool(_) => "avg_pool",
            Op::Add => "add",
            Op::Concat => "concat",
            Op::Slice { .. } => "slice",
            Op::Zero => "zero",
        }
    }
}

/// The convention by which a ReLU's bits are counted: one of the two that were published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Convention {
    /// Every ReLU module once.
    #[default]
    Relu,
    /// The numbers of the paper's public code, whose hook also matches the wrapper class of
    /// NAS-Bench-201's ReLU-Conv-BN blocks, so that their ReLUs count twice.
    Original,
}

impl serde::Serialize for Convention {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Convention {
    /// All conventions.
    pub const ALL: [Convention; 2] = [Convention::Relu, Convention::Original];

    /// The convention's name, as the command line spells it.
    ///
    /// ```
    /// assert_eq!(naswot::Convention::Original.name(), "original");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Convention::Relu => "relu",
            Convention::Original => "original",
        }
    }
}

/// The multiplicity of a ReLU: how often each [`Convention`] counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiplicity {
    /// Under [`Convention::Relu`].
    pub relu: u32,
    /// Under [`Convention::Original`].
    pub original: u32,
}

impl Multiplicity {
    /// Once under either convention.
    pub const ONCE: Self = Multiplicity { relu: 1, original: 1 };
    /// The ReLU of a ReLU-Conv-BN block, which the public code counts twice.
    pub const RELU_CONV_BN: Self = Multiplicity { relu: 1, original: 2 };

    /// The multiplicity under one convention.
    ///
    /// ```
    /// use naswot::{Convention, Multiplicity};
    /// assert_eq!(Multiplicity::RELU_CONV_BN.under(Convention::Original), 2);
    /// ```
    pub fn under(self, convention: Convention) -> u32 {
        match convention {
            Convention::Relu => self.relu,
            Convention::Original => self.original,
        }
    }
}

/// The unit-variance distribution that initial weights are drawn from; the scale stays outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Standard normal.
    Normal,
    /// Uniform on plus and minus the square root of 3.
    Uniform,
}

/// The distribution of a convolution's initial weights, with its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Initializer {
    /// Normal with standard deviation sqrt(2 / fan_out): NAS-Bench-101 (He et al., 2015, "fan out").
    KaimingNormalFanOut,
    /// Uniform on plus and minus 1 / sqrt(fan_in): PyTorch's default for convolutions, that of NAS-Bench-201.
    UniformFanIn,
    /// Normal with standard deviation sqrt(2 / fan_in) (He et al., 2015; PyTorch's `kaiming_normal_`).
    KaimingNormal,
    /// Normal with standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).
    XavierNormal,
    /// Uniform with the same standard deviation: on plus and minus sqrt(6 / (fan_in + fan_out)).
    XavierUniform,
    /// Standard normal.
    Normal,
}

impl Initializer {
    /// All of them.
    pub const ALL: [Initializer; 6] = [
        Initializer::KaimingNormalFanOut,
        Initializer::UniformFanIn,
        Initializer::KaimingNormal,
        Initializer::XavierNormal,
        Initializer::XavierUniform,
        Initializer::Normal,
    ];

    /// Its name on the command line and in rows.
    ///
    /// ```
    /// assert_eq!(naswot::Initializer::XavierNormal.name(), "xavier-normal");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Initializer::KaimingNormalFanOut => "kaiming-normal-fan-out",
            Initializer::UniformFanIn => "uniform-fan-in",
            Initializer::KaimingNormal => "kaiming-normal",
            Initializer::XavierNormal => "xavier-normal",
            Initializer::XavierUniform => "xavier-uniform",
            Initializer::Normal => "normal",
        }
    }

    /// The unit-variance distribution behind it.
    ///
    /// ```
    /// use naswot::{Distribution, Initializer};
    /// assert_eq!(Initializer::UniformFanIn.distribution(), Distribution::Uniform);
    /// ```
    pub fn distribution(self) -> Distribution {
        match self {
            Initializer::KaimingNormalFanOut
            | Initializer::KaimingNormal
            | Initializer::XavierNormal
            | Initializer::Normal => Distribution::Normal,
            Initializer::UniformFanIn | Initializer::XavierUniform => Distribution::Uniform,
        }
    }

    /// Standard deviation of one weight.
    ///
    /// ```
    /// let sd = naswot::Initializer::KaimingNormalFanOut.standard_deviation(27, 72);
    /// assert!((sd - (2.0f64 / 72.0).sqrt()).abs() < 1e-15);
    /// ```
    pub fn standard_deviation(self, fan_in: usize, fan_out: usize) -> f64 {
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        match self {
            Initializer::KaimingNormalFanOut => (2.0 / fan_out).sqrt(),
            Initializer::UniformFanIn => (1.0 / (3.0 * fan_in)).sqrt(),
            Initializer::KaimingNormal => (2.0 / fan_in).sqrt(),
            Initializer::XavierNormal | Initializer::XavierUniform => (2.0 / (fan_in + fan_out)).sqrt(),
            Initializer::Normal => 1.0,
        }
    }
}

/// A 2-D convolution without bias. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Output channels.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zero padding on each side.
    pub padding: [usize; 2],
    /// Distance between kernel taps, in pixels.
    pub dilation: [usize; 2],
    /// Groups that the channels fall into.
    pub groups: usize,
    /// How initial weights are drawn.
    pub initializer: Initializer,
}

impl Conv {
    /// A square kernel, stride 1, no padding, no dilation, one group, PyTorch's default initial weights.
    ///
    /// ```
    /// use naswot::Conv;
    /// let conv = Conv::new(16, 3).stride(2).padding(1);
    /// assert_eq!(conv.stride, [2, 2]);
    /// ```
    pub fn new(out_channels: usize, kernel: usize) -> Self {
        Conv {
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
            initializer: Initializer::UniformFanIn,
        }
    }

    /// The same with another stride, both ways alike.
    pub fn stride(self, stride: usize) -> Self {
        Conv { stride: [stride; 2], ..self }
    }

    /// The same with zero padding on all sides.
    pub fn padding(self, padding: usize) -> Self {
        Conv { padding: [padding; 2], ..self }
    }

    /// The same with another dilation, both ways alike.
    pub fn dilation(self, dilation: usize) -> Self {
        Conv { dilation: [dilation; 2], ..self }
    }

    /// The same with grouped channels.
    pub fn groups(self, groups: usize) -> Self {
        Conv { groups, ..self }
    }

    /// The same with other initial weights.
    pub fn initializer(self, initializer: Initializer) -> Self {
        Conv { initializer, ..self }
    }

    /// Standard deviation of its initial weights for a number of input channels.
    ///
    /// ```
    /// use naswot::{Conv, Initializer};
    /// let conv = Conv::new(16, 3).initializer(Initializer::KaimingNormalFanOut);
    /// assert!((conv.standard_deviation(8) - (2.0f64 / (9.0 * 16.0)).sqrt()).abs() < 1e-15);
    /// ```
    pub fn standard_deviation(&self, in_channels: usize) -> f64 {
        let taps = self.kernel[0].saturating_mul(self.kernel[1]);
        let (fan_in, fan_out) = (in_channels / self.groups, self.out_channels);
        self.initializer.standard_deviation(fan_in.saturating_mul(taps), fan_out.saturating_mul(taps))
    }

    /// Output size along one axis; none when the kernel does not fit. No size is above [`LARGEST`].
    pub(super) fn output(&self, axis: usize, size: usize) -> Option<usize> {
        let reach = self.dilation[axis] as u64 * (self.kernel[axis] as u64 - 1) + 1;
        let room = (size as u64 + 2 * self.padding[axis] as u64).checked_sub(reach)?;
        usize::try_from(room / self.stride[axis] as u64 + 1).ok()
    }
}

/// The window of a pooling layer. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Padding, which never takes part: it is below every maximum and outside every average.
    pub padding: [usize; 2],
}

impl Window {
    /// A square window.
    ///
    /// ```
    /// let window = naswot::Window::new(3, 1, 1);
    /// assert_eq!(window.kernel, [3, 3]);
    /// ```
    pub fn new(kernel: usize, stride: usize, padding: usize) -> Self {
        Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] }
    }

    /// Whether the window is one pixel at stride 1, which changes nothing.
    pub(crate) fn is_identity(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1]
    }

    /// Output size along one axis; none when the window does not fit or would leave pixels out. No size is above [`LARGEST`].
    pub(super) fn output(&self, axis: usize, size: usize) -> Option<usize> {
        let [k, s, p, size] =
            [self.kernel[axis], self.stride[axis], self.padding[axis], size].map(|x| x as u64);
        let out = (size + 2 * p).checked_sub(k)? / s + 1;
        usize::try_from(out).ok().filter(|_| (out - 1) * s + k >= size + p)
    }
}
