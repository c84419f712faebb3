//! PyTorch state dicts, as safetensors.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};

use super::source::{RowShape, WeightSource};
use crate::digest::sha256_hex;
use crate::error::cut;
use crate::{Distribution, Error, Graph, Op, ParameterErrorKind, Result};

/// The weights of a PyTorch checkpoint: a state dict that was saved as safetensors. Cheap to clone.
///
/// A convolution's weight has the name of its node and the shape C_out x C_in / groups x r x s; a batch norm
/// has `name.weight` and `name.bias`. A network fits when each of its parameters is there with its shape,
/// all values are finite, and no tensor is left over but `classifier.*`, `*.running_mean`, `*.running_var`
/// and `*.num_batches_tracked`, which no score depends on.
///
/// Prefixes that every name has because the network was a part of another module (`module.` of DataParallel, `_orig_mod.` of
/// `torch.compile`, `net.` and `model.`) are dropped: see [`Checkpoint::prefix`].
#[derive(Clone, Debug)]
pub struct Checkpoint(Arc<Contents>);

#[derive(Debug)]
struct Contents {
    path: PathBuf,
    sha256: String,
    metadata: HashMap<String, String>,
    /// The prefix that all names had.
    prefix: String,
    tensors: BTreeMap<String, Tensor>,
}

/// The prefixes that modules give the names of a network within them.
const WRAPPERS: [&str; 4] = ["module.", "_orig_mod.", "net.", "model."];

/// The types whose numbers are read.
const FLOATS: [Dtype; 4] = [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16];

/// Longest header that is read, as the format has it.
const MAX_HEADER: u64 = 100_000_000;

#[derive(Debug)]
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
    /// Position of the first value that is NaN or infinite.
    non_finite: Option<usize>,
}

impl Checkpoint {
    /// Reads a safetensors file. Tensors of type F64, F16 and BF16 are converted to F32.
    ///
    /// ```
    /// # use safetensors::tensor::{Dtype, TensorView, serialize};
    /// # let gamma: Vec<u8> = [1.0f32, -0.5].iter().flat_map(|x| x.to_le_bytes()).collect();
    /// # let tensor = TensorView::new(Dtype::F32, vec![2], &gamma).unwrap();
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("weights.safetensors");
    /// # let metadata = std::collections::HashMap::from([("epoch".to_owned(), "3".to_owned())]);
    /// # std::fs::write(&path, serialize([("norm.weight", tensor)], Some(metadata)).unwrap()).unwrap();
    /// use naswot::{Checkpoint, Weights};
    ///
    /// let checkpoint = Checkpoint::load(&path)?;
    /// assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["norm.weight"]);
    /// assert_eq!((checkpoint.metadata("epoch"), checkpoint.prefix()), (Some("3"), ""));
    /// assert_eq!(Checkpoint::read_metadata(&path)?["epoch"], "3");
    /// assert_eq!(checkpoint.path(), path);
    /// assert_eq!(checkpoint.sha256().len(), 64);
    /// assert_eq!(Weights::Checkpoint(checkpoint).label(), "checkpoint");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Weights`] for a file that cannot be read, is no safetensors file, or has a tensor of another
    /// type that is not one of those that no score depends on. Whether the tensors fit a network is that
    /// network's question.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| weights_error(path, error))?;
        Self::parse(path, &bytes)
    }

    /// Reads what a safetensors file says beside its tensors, text by keys, and nothing of the tensors themselves.
    ///
    /// ```
    /// let error = naswot::Checkpoint::read_metadata("no/such/file").unwrap_err();
    /// assert!(error.to_string().starts_with("no/such/file: "));
    /// ```
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn read_metadata(path: impl AsRef<Path>) -> Result<HashMap<String, String>> {
        let path = path.as_ref();
        let io = |error: std::io::Error| weights_error(path, error);
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let (mut start, mut header) = (Vec::new(), Vec::new());
        file.by_ref().take(8).read_to_end(&mut start).map_err(io)?;
        let Ok(length) = <[u8; 8]>::try_from(start.as_slice()).map(u64::from_le_bytes) else {
            return Err(no_safetensors(path, &start, "it has less than 8 bytes"));
        };
        if length > MAX_HEADER.min(size.saturating_sub(8)) {
            return Err(no_safetensors(path, &start, "its header is too large or cut off"));
        }
        file.take(length).read_to_end(&mut header).map_err(io)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| no_safetensors(path, &start, error))?;
        if (8 + length).checked_add(header.data_len() as u64) != Some(size) {
            return Err(no_safetensors(path, &start, "it is cut off, or longer than its header says"));
        }
        check_types(path, &header)?;
        Ok(header.metadata().clone().unwrap_or_default())
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let unreadable = |error| no_safetensors(path, bytes, error);
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        check_types(path, &header)?;
        let prefix = common_prefix(file.names());
        let tensors = file
            .iter()
            .filter_map(|(name, view)| Some((name[prefix.len()..].to_owned(), Tensor::new(&view)?)))
            .collect();
        Ok(Checkpoint(Arc::new(Contents {
            path: path.to_owned(),
            sha256: sha256_hex([bytes]),
            metadata: header.metadata().clone().unwrap_or_default(),
            prefix,
            tensors,
        })))
    }

    /// The prefix that the names of all tensors had and that was dropped, such as `module.`; empty where there was none.
    ///
    /// See [`Checkpoint::load`] for an example.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The file it was read from.
    ///
    /// See [`Checkpoint::load`] for an example.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// SHA-256 of the file in lowercase hex.
    ///
    /// See [`Checkpoint::load`] for an example.
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// What its metadata say under a key: a safetensors file may carry text beside its tensors, an epoch, say.
    ///
    /// See [`Checkpoint::load`] for an example.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.0.metadata.get(key).map(String::as_str)
    }

    /// Names of its floating-point tensors without the [prefix](Checkpoint::prefix) of all, in alphabetical order.
    ///
    /// See [`Checkpoint::load`] for an example.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.tensors.keys().map(String::as_str)
    }

    /// A tensor that must be there, with this shape and finite values.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        let Some(tensor) = self.0.tensors.get(name).or_else(|| self.0.tensors.get(self.stripped(name)))
        else {
            return Err(Error::parameter(name, ParameterErrorKind::Missing { needed: shape.to_vec() }));
        };
        if tensor.shape != shape {
            let (found, needed) = (tensor.shape.clone(), shape.to_vec());
            return Err(Error::parameter(name, ParameterErrorKind::Shape { found, needed }));
        }
        if let Some(element) = tensor.non_finite {
            let value = tensor.values[element];
            return Err(Error::parameter(name, ParameterErrorKind::NonFinite { value, element }));
        }
        Ok(&tensor.values)
    }
}

impl Checkpoint {
    /// A name of a graph as it is here: a graph may have names that begin as those of the file did.
    fn stripped<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.0.prefix).unwrap_or(name)
    }
}

impl Tensor {
    /// Takes floating-point numbers as F32; none for another type.
    fn new(view: &TensorView) -> Option<Self> {
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => words(data).map(f32::from_le_bytes).collect(),
            Dtype::F64 => words(data).map(|word| f64::from_le_bytes(word) as f32).collect(),
            Dtype::F16 => words(data).map(|word| f16::from_le_bytes(word).to_f32()).collect(),
            Dtype::BF16 => words(data).map(|word| bf16::from_le_bytes(word).to_f32()).collect(),
            _ => return None,
        };
        let non_finite = values.iter().position(|value| !value.is_finite());
        Some(Tensor { shape: view.shape().to_vec(), values, non_finite })
    }
}

impl WeightSource for Checkpoint {
    fn rows(
        &self,
        name: &str,
        shape: &RowShape,
        _distribution: Distribution,
        octets: Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let RowShape { out_channels, in_channels, kernel: [height, width] } = *shape;
        let values = self.tensor(name, &[out_channels, in_channels, height, width])?;
        let taps = height * width;
        let row_len = shape.row_len();
        let padded_in = row_len / taps;
        let start = out.len();
        out.resize(start + 8 * octets.len() * row_len, 0.0);
        for (row, c_out) in out[start..].chunks_exact_mut(row_len).zip(8 * octets.start..out_channels) {
            let source = &values[c_out * in_channels * taps..][..in_channels * taps];
            for (c_in, plane) in source.chunks_exact(taps).enumerate() {
                for (tap, &value) in plane.iter().enumerate() {
                    row[tap * padded_in + c_in] = value;
                }
            }
        }
        Ok(())
    }

    fn seed(&self) -> Option<u64> {
        None
    }

    fn scale(&self, _standard_deviation: f64) -> f64 {
        1.0
    }

    fn batch_norm(&self, name: &str, channels: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        let [gamma, beta] = batch_norm_names(name);
        let gamma = self.tensor(&gamma, &[channels])?;
        let beta = self.tensor(&beta, &[channels])?;
        Ok(Some((gamma.to_vec(), beta.to_vec())))
    }

    fn check(&self, graph: &Graph) -> Result<()> {
        let parameters = parameters(graph);
        for (name, shape) in &parameters {
            self.tensor(name, shape)?;
        }
        let known: BTreeSet<&str> =
            parameters.keys().flat_map(|name| [name.as_str(), self.stripped(name)]).collect();
        match self.names().find(|name| !known.contains(name) && !is_ignored(name)) {
            Some(name) => Err(Error::parameter(name, ParameterErrorKind::Unused)),
            None => Ok(()),
        }
    }
}

/// Names and shapes of the parameters of a graph, as PyTorch has them.
fn parameters(graph: &Graph) -> BTreeMap<String, Vec<usize>> {
    let mut parameters = BTreeMap::new();
    for node in graph.nodes() {
        match node.op() {
            Op::Conv(conv) => {
                let in_channels = graph.nodes()[node.inputs()[0].index()].channels() / conv.groups;
                let shape = vec![conv.out_channels, in_channels, conv.kernel[0], conv.kernel[1]];
                parameters.insert(node.name().to_owned(), shape);
            }
            Op::BatchNorm { .. } => {
                for name in batch_norm_names(node.name()) {
                    parameters.insert(name, vec![node.channels()]);
                }
            }
            _ => {}
        }
    }
    parameters
}

fn batch_norm_names(name: &str) -> [String; 2] {
    [format!("{name}.weight"), format!("{name}.bias")]
}

/// Whether a tensor is one that a state dict has and no score depends on.
fn is_ignored(name: &str) -> bool {
    name.starts_with("classifier.")
        || [".running_mean", ".running_var", ".num_batches_tracked"].iter().any(|end| name.ends_with(end))
}

/// Checks that all tensors that a score may depend on are of floating-point numbers.
fn check_types(path: &Path, header: &Metadata) -> Result<()> {
    let tensors = header.tensors();
    let prefix = common_prefix(tensors.keys().map(String::as_str));
    let mut others: Vec<_> = tensors
        .iter()
        .filter(|(name, tensor)| !FLOATS.contains(&tensor.dtype) && !is_ignored(&name[prefix.len()..]))
        .collect();
    others.sort_unstable_by_key(|(name, _)| *name);
    match others.first() {
        Some((name, tensor)) => {
            let dtype = tensor.dtype;
            let name = cut(name);
            let message = format_args!("tensor `{name}` is {dtype}, and not F32, F64, F16 or BF16");
            Err(weights_error(path, message))
        }
        None => Ok(()),
    }
}

/// The prefixes of [`WRAPPERS`] that all names have, one behind the other.
fn common_prefix<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    let mut prefix = String::new();
    while let Some(wrapper) = WRAPPERS
        .into_iter()
        .find(|wrapper| !names.is_empty() && names.iter().all(|name| name.starts_with(wrapper)))
    {
        names.iter_mut().for_each(|name| *name = &name[wrapper.len()..]);
        prefix += wrapper;
    }
    prefix
}

/// The error of a file that is no safetensors file; of what PyTorch writes otherwise, how to convert it.
fn no_safetensors(path: &Path, bytes: &[u8], error: impl std::fmt::Display) -> Error {
    let form = if bytes.starts_with(b"PK\x03\x04") {
        "a checkpoint of torch.save (a ZIP with a pickle)"
    } else if bytes.first() == Some(&0x80) && bytes.get(1).is_some_and(|protocol| (2..=5).contains(protocol))
    {
        "a pickle, as older versions of torch.save write it,"
    } else {
        let error = error.to_string();
        return weights_error(path, format_args!("is not a safetensors file: {}", cut(&error)));
    };
    let (from, to) = (path.display(), path.with_extension("safetensors"));
    let message = format!(
        "is {form} and no safetensors file. Convert it:\n    \
         import torch, safetensors.torch\n    \
         saved = torch.load(\"{from}\", map_location=\"cpu\")\n    \
         safetensors.torch.save_file(saved.get(\"state_dict\", saved), \"{}\")",
        to.display()
    );
    weights_error(path, message)
}

/// The bytes as words of a fixed width; their number is a multiple of it.
fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks().0.iter().copied()
}

fn weights_error(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::Weights { path: path.to_owned(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use safetensors::serialize;

    use super::*;
    use crate::Conv;

    type Entry = (&'static str, Dtype, Vec<usize>, Vec<u8>);

    fn f32_bytes(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    fn file(entries: &[Entry]) -> Vec<u8> {
        let views = entries
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
        serialize(views, None).unwrap()
    }

    fn checkpoint(entries: &[Entry]) -> Result<Checkpoint> {
        Checkpoint::parse(Path::new("w.safetensors"), &file(entries))
    }

    /// A grouped convolution of 4 -> 6 channels, kernel 1x2, and a batch norm.
    fn graph() -> Graph {
        let mut g = Graph::builder(4).unwrap();
        let conv = Conv { kernel: [1, 2], ..Conv::new(6, 1).groups(2) };
        let x = g.conv(g.input(), conv, "conv.weight").unwrap();
        let x = g.batch_norm(x, "norm").unwrap();
        g.output(x).unwrap()
    }

    /// What fits the graph; element e of the convolution is e + 1.
    fn entries() -> Vec<Entry> {
        vec![
            ("conv.weight", Dtype::F32, vec![6, 2, 1, 2], f32_bytes((1..=24u8).map(f32::from))),
            ("norm.weight", Dtype::F32, vec![6], f32_bytes([1.0, -1.0, 0.5, 2.0, 0.0, 1.0])),
            ("norm.bias", Dtype::F32, vec![6], f32_bytes([0.0; 6])),
            ("norm.running_mean", Dtype::F32, vec![6], f32_bytes([f32::NAN; 6])),
            ("norm.num_batches_tracked", Dtype::I64, vec![], vec![0; 8]),
            ("classifier.weight", Dtype::F32, vec![1, 6], f32_bytes([0.0; 6])),
        ]
    }

    fn refusal(entries: &[Entry]) -> String {
        checkpoint(entries).unwrap().check(&graph()).unwrap_err().to_string()
    }

    #[test]
    fn rows_are_transposed_and_padded_with_zeros() {
        let checkpoint = checkpoint(&entries()).unwrap();
        checkpoint.check(&graph()).unwrap();
        let shape = RowShape { out_channels: 6, in_channels: 2, kernel: [1, 2] };
        let mut out = vec![7.0];
        checkpoint.rows("conv.weight", &shape, Distribution::Normal, 0..1, &mut out).unwrap();
        assert_eq!(out.remove(0), 7.0);
        assert_eq!(out.len(), 8 * 2 * 8);
        for (i, &value) in out.iter().enumerate() {
            let (c_out, tap, c_in) = (i / 16, i / 8 % 2, i % 8);
            let known = if c_out < 6 && c_in < 2 { 4 * c_out + 2 * c_in + tap + 1 } else { 0 };
            assert_eq!(value, known as f32, "element {i}");
        }
    }

    #[test]
    fn weights_do_not_depend_on_the_octets_that_are_asked_for() {
        let data = f32_bytes((0..19 * 9).map(|i| i as f32));
        let checkpoint = checkpoint(&[("a", Dtype::F32, vec![19, 9, 1, 1], data)]).unwrap();
        let shape = RowShape { out_channels: 19, in_channels: 9, kernel: [1, 1] };
        let rows = |octets: Range<usize>, out: &mut Vec<f32>| {
            checkpoint.rows("a", &shape, Distribution::Normal, octets, out).unwrap();
        };
        let (mut all, mut pieces) = (Vec::new(), Vec::new());
        rows(0..3, &mut all);
        rows(0..2, &mut pieces);
        rows(2..3, &mut pieces);
        assert_eq!(all.len(), 24 * 16);
        assert_eq!(all, pieces);
    }

    #[test]
    fn gamma_and_beta_are_read_and_the_scale_is_one() {
        let checkpoint = checkpoint(&entries()).unwrap();
        let (gamma, beta) = checkpoint.batch_norm("norm", 6).unwrap().unwrap();
        assert_eq!(gamma, [1.0, -1.0, 0.5, 2.0, 0.0, 1.0]);
        assert_eq!(beta, [0.0; 6]);
        assert_eq!(checkpoint.scale(0.1), 1.0);
    }

    #[test]
    fn every_floating_type_is_read() {
        let halves = [1.5f32, -0.25];
        let entries = [
            ("a", Dtype::F64, vec![2], halves.iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect()),
            ("b", Dtype::F16, vec![2], halves.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect()),
            (
                "c",
                Dtype::BF16,
                vec![2],
                halves.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
            ),
        ];
        let checkpoint = checkpoint(&entries).unwrap();
        for name in ["a", "b", "c"] {
            assert_eq!(checkpoint.tensor(name, &[2]).unwrap(), halves);
        }
    }

    #[test]
    fn a_network_that_does_not_fit_names_the_tensor() {
        let mut missing = entries();
        missing.remove(2);
        assert_eq!(
            refusal(&missing),
            "weights: tensor `norm.bias` is missing; the network needs one of shape 6"
        );

        let mut misshapen = entries();
        misshapen[0].2 = vec![6, 1, 2, 2];
        assert_eq!(
            refusal(&misshapen),
            "weights: tensor `conv.weight` has shape 6x1x2x2; the network needs 6x2x1x2"
        );

        let mut placeless = entries();
        placeless.push(("conv.bias", Dtype::F32, vec![], vec![0; 4]));
        assert_eq!(refusal(&placeless), "weights: tensor `conv.bias` has no place in the network");

        let mut infinite = entries();
        infinite[0].3[12..16].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
        assert_eq!(refusal(&infinite), "weights: tensor `conv.weight` holds -inf at element 3");
    }

    #[test]
    fn a_name_of_the_graph_is_never_ignored() {
        let mut g = Graph::builder(1).unwrap();
        let x = g.conv(g.input(), Conv::new(1, 1), "classifier.weight").unwrap();
        let graph = g.output(x).unwrap();
        let one = |value| [("classifier.weight", Dtype::F32, vec![1, 1, 1, 1], f32_bytes([value]))];
        checkpoint(&one(1.0)).unwrap().check(&graph).unwrap();
        checkpoint(&one(f32::NAN)).unwrap().check(&graph).unwrap_err();
    }

    #[test]
    fn integers_are_refused_where_they_could_matter() {
        let error = checkpoint(&[("steps", Dtype::I64, vec![], vec![0; 8])]).unwrap_err();
        let message = "w.safetensors: tensor `steps` is I64, and not F32, F64, F16 or BF16";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn prefixes_of_all_names_are_dropped_and_of_some_are_not() {
        let prefixed = |prefix: &str| -> Vec<u8> {
            let entries = entries();
            let views = entries.iter().map(|(name, dtype, shape, data)| {
                (format!("{prefix}{name}"), TensorView::new(*dtype, shape.clone(), data).unwrap())
            });
            serialize(views, None).unwrap()
        };
        let parse = |bytes: &[u8]| Checkpoint::parse(Path::new("w.safetensors"), bytes);
        for prefix in ["", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.net."] {
            let checkpoint = parse(&prefixed(prefix)).unwrap();
            assert_eq!(checkpoint.prefix(), prefix);
            assert!(checkpoint.names().eq(parse(&prefixed("")).unwrap().names()));
            checkpoint.check(&graph()).unwrap();
        }
        // Another one, and one that a tensor lacks.
        assert_eq!(parse(&prefixed("ema.")).unwrap().prefix(), "");
        let mut some = entries();
        some[0].0 = "module.conv.weight";
        assert_eq!(checkpoint(&some).unwrap().prefix(), "");
        // A network may have such names itself.
        let mut g = Graph::builder(1).unwrap();
        let x = g.conv(g.input(), Conv::new(1, 1), "net.weight").unwrap();
        let graph = g.output(x).unwrap();
        let own = [("net.weight", Dtype::F32, vec![1, 1, 1, 1], f32_bytes([1.0]))];
        checkpoint(&own).unwrap().check(&graph).unwrap();
    }

    #[test]
    fn the_header_alone_is_checked_as_the_file_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("w.safetensors");
        let whole = file(&entries());
        let integers = file(&[("steps", Dtype::I64, vec![], vec![0; 8])]);
        let longer = [&whole[..], b" "].concat();
        for bytes in [
            &whole[..],
            &whole[..whole.len() - 1],
            &longer,
            &whole[..20],
            b"",
            b"1234567",
            &[0xff; 9],
            &integers,
        ] {
            std::fs::write(&path, bytes).unwrap();
            let [header, all] =
                [Checkpoint::read_metadata(&path).map(|_| ()), Checkpoint::load(&path).map(|_| ())];
            assert_eq!(header.is_ok(), all.is_ok(), "{header:?} {all:?}");
        }
    }

    #[test]
    fn checkpoints_of_torch_save_are_named_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("epoch.pth");
        for (bytes, form) in [
            (
                &b"PK\x03\x04\0\0\0\0\0\0 archive/data.pkl"[..],
                "a checkpoint of torch.save (a ZIP with a pickle)",
            ),
            (
                b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
                "a pickle, as older versions of torch.save write it,",
            ),
        ] {
            std::fs::write(&path, bytes).unwrap();
            for error in [Checkpoint::load(&path).unwrap_err(), Checkpoint::read_metadata(&path).unwrap_err()]
            {
                let error = error.to_string();
                let start = format!("{}: is {form} and no safetensors file. Convert it:\n", path.display());
                assert!(error.starts_with(&start), "{error}");
                assert!(error.ends_with("epoch.safetensors\")") && error.lines().count() == 4, "{error}");
            }
        }
    }

    #[test]
    fn unreadable_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("w.safetensors");
        for bytes in [None, Some(b"".as_slice()), Some(b"PK\x03\x04 a pickle, as torch.save makes it")] {
            if let Some(bytes) = bytes {
                std::fs::write(&path, bytes).unwrap();
            }
            let error = Checkpoint::load(&path).unwrap_err();
            assert!(matches!(&error, Error::Weights { path: named, .. } if *named == path), "{error}");
        }
    }
}
