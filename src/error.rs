//! The one error type of the crate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shorthand for a result with naswot's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, each with what a user needs to mend it.
///
/// A failure of one network (an unusable cell, a missing weight) is an item of a stream and
/// leaves the others alone; [`Error::is_fatal`] marks the errors that end a run. What a program may want to
/// act on is in fields: an embedder falls back to the processor, say, where there is no GPU.
///
/// ```
/// use naswot::BackendErrorKind::{CannotOpen, NotBuilt, NotFound};
/// use naswot::{Backend, Batch, Error, Scorer};
///
/// let error = "|none~0|+|none~0|".parse::<naswot::nasbench201::Cell>().unwrap_err();
/// assert!(!error.is_fatal());
///
/// let builder = Scorer::builder(Batch::synthetic(4, 0)?);
/// let scorer = match builder.clone().backend(Backend::Cuda(Some(999))).build() {
///     Err(Error::Backend { kind: NotBuilt | NotFound | CannotOpen, .. }) => {
///         builder.backend(Backend::Cpu).build()?
///     }
///     other => other?,
/// };
/// # assert_eq!(scorer.settings().backend, "cpu");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A cell that its search space does not contain, or a description that is no cell.
    #[error("{space}: {message}")]
    Cell {
        /// The search space, as architecture files spell it.
        space: &'static str,
        /// What is wrong with the cell.
        message: String,
    },
    /// A line of an architecture file that cannot be read.
    #[error("{message}")]
    Architecture {
        /// What is wrong with the line.
        message: String,
    },
    /// A graph that is no network.
    #[error("node `{node}`: {message}")]
    Graph {
        /// The node's name.
        node: String,
        /// What is wrong with it.
        message: String,
    },
    /// A batch of images that cannot be used.
    #[error("batch: {message}")]
    Batch {
        /// What is wrong with it.
        message: String,
    },
    /// A file of images that cannot be read as what it was said to be.
    #[error("{}: {message}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file of weights that cannot be read.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor of a checkpoint that is missing, misshapen or has no place in the network.
    #[error("weights: tensor `{}` {kind}", cut(name))]
    Parameter {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        kind: ParameterErrorKind,
    },
    /// A matrix that cannot be the agreement matrix of any codes.
    #[error("agreement matrix: {message}")]
    Agreement {
        /// What is wrong with it.
        message: String,
    },
    /// Activations that overflowed or are not numbers.
    #[error("non-finite activations at `{node}`: the weights or the images are too large for {precision}")]
    NonFinite {
        /// The first node where they were seen.
        node: String,
        /// The precision that was used.
        precision: &'static str,
    },
    /// A network that needs more memory than it may have.
    #[error(
        "needs {needed} bytes of memory, over the limit of {limit}: take a smaller batch or a higher limit"
    )]
    Memory {
        /// Bytes needed by this network alone.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A network that a device has no memory for.
    #[error("needs {needed} bytes of memory, which {device} does not have free: take a smaller batch")]
    DeviceMemory {
        /// Bytes needed by this network alone.
        needed: u64,
        /// The device's name.
        device: String,
    },
    /// A backend that does not work on this machine.
    #[error("backend {backend}: {reason}")]
    Backend {
        /// The backend asked for.
        backend: String,
        /// What has failed, for programs.
        kind: BackendErrorKind,
        /// Why it cannot be used, and what to do, for people.
        reason: String,
    },
    /// A setting that makes no sense.
    #[error("{name}: {message}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Scores and accuracies that cannot be compared.
    #[error("{message}")]
    Correlation {
        /// What is wrong with them.
        message: String,
    },
    /// A search that cannot go on.
    #[error("search: {message}")]
    Search {
        /// What is wrong.
        message: String,
    },
    /// A picture that cannot be made.
    #[error("picture: {message}")]
    Picture {
        /// What is wrong with it.
        message: String,
    },
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The run was cancelled before this network was scored.
    #[error("cancelled")]
    Cancelled,
    /// A network that was submitted to a session after that was closed.
    #[error("the session is closed: networks can no longer be submitted")]
    Closed,
}

/// What has failed of a backend: see [`Error::Backend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// This build of naswot has no such backend.
    NotBuilt,
    /// The machine has no such device, or a library that the backend needs was not found.
    NotFound,
    /// The device is there and cannot be opened: it is too old, or its driver or the system refuses.
    CannotOpen,
    /// The device was lost while it worked, and again after it was opened anew.
    Lost,
    /// The device has no memory left.
    OutOfMemory,
    /// A computation has failed, which is a fault of naswot or of a driver.
    Failed,
}

/// What is wrong with a tensor of a checkpoint, or a parameter of a network: see [`Error::Parameter`].
///
/// ```
/// # use safetensors::tensor::{Dtype, TensorView, serialize};
/// # let gamma = 1.0f32.to_le_bytes();
/// # let tensor = TensorView::new(Dtype::F32, vec![1], &gamma).unwrap();
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("weights.safetensors");
/// # std::fs::write(&path, serialize([("norm.weight", tensor)], None).unwrap()).unwrap();
/// use naswot::{Batch, Checkpoint, Error, ParameterErrorKind, Scorer, Weights, nasbench201};
///
/// let weights = Weights::Checkpoint(Checkpoint::load(&path)?);
/// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).weights(weights).build()?;
/// let network = nasbench201::sample(1, 0)?[0].network(&nasbench201::Skeleton { stem: 4, cells: 1 })?;
/// match scorer.score(&network) {
///     Err(Error::Parameter { name, kind: ParameterErrorKind::Missing { needed } }) => {
///         println!("{name} of shape {needed:?} is not in the checkpoint");
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterErrorKind {
    /// The checkpoint lacks it.
    #[error("is missing; the network needs one of shape {}", dimensions(needed))]
    Missing {
        /// The shape that the network needs.
        needed: Vec<usize>,
    },
    /// It has another shape.
    #[error("has shape {}; the network needs {}", dimensions(found), dimensions(needed))]
    Shape {
        /// Its shape in the checkpoint.
        found: Vec<usize>,
        /// The shape that the network needs.
        needed: Vec<usize>,
    },
    /// It holds a value that is not finite.
    #[error("holds {value} at element {element}")]
    NonFinite {
        /// The first such value.
        value: f32,
        /// Its position, row by row.
        element: usize,
    },
    /// The network has no parameter of its name.
    #[error("has no place in the network")]
    Unused,
    /// It has more weights than are numbered.
    #[error("has more than 2^35 weights")]
    TooLarge,
}

/// A text out of a file as error texts quote it: no more of it than tells which it is. Whoever shows them to people sees to
/// its control characters, as those of file names.
pub(crate) fn cut(text: &str) -> &str {
    const MOST: usize = 200;
    text.char_indices().nth(MOST).map_or(text, |(end, _)| &text[..end])
}

/// A shape as error texts have it.
fn dimensions(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "() (a single number)".to_owned();
    }
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

impl Error {
    /// Whether the error ends a whole run, rather than one network of it.
    ///
    /// ```
    /// assert!(naswot::Error::Cancelled.is_fatal());
    /// ```
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Backend { .. } | Error::Io { .. } | Error::Cancelled | Error::Closed)
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn data(path: &Path, message: impl Into<String>) -> Self {
        Error::Data { path: path.to_owned(), message: message.into() }
    }

    pub(crate) fn parameter(name: &str, kind: ParameterErrorKind) -> Self {
        Error::Parameter { name: name.to_owned(), kind }
    }

    /// The error of memory that the processor's system did not give.
    pub(crate) fn machine_memory(needed: u64) -> Self {
        Error::DeviceMemory { needed, device: "this machine".to_owned() }
    }

    pub(crate) fn backend(
        kind: BackendErrorKind,
        backend: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Error::Backend { backend: backend.into(), kind, reason: reason.into() }
    }

    pub(crate) fn graph(node: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Graph { node: node.into(), message: message.into() }
    }
}
