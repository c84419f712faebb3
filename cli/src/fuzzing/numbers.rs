//! Arrays, pickles, checkpoints, and what the cache keeps.

use naswot::pickle::{Pickle, Treatment, Value, Visitor};
use naswot::{
    Agreement, Backend, Batch, Checkpoint, Conv, Graph, Network, Normalization, NumpyArray, Scorer, Weights,
    testing,
};
use sha2::{Digest, Sha256};

use super::scratch::{with_file, with_folder};

/// Bytes that the values of a pickle may take.
const PICKLE_LIMIT: usize = 1 << 20;

/// An array of numbers, which may be a batch of images.
pub(super) fn array(input: &[u8]) -> bool {
    with_file("array.npy", input, |path| {
        let array = NumpyArray::read(path);
        if let Ok(array) = &array {
            assert_eq!(array.shape().iter().product::<usize>(), array.values().len());
            assert!(array.values().len() < input.len());
        }
        let batches = [Batch::npy(path), Batch::npy_color(path, Some(Normalization::CIFAR10))];
        for batch in batches.into_iter().flatten() {
            assert_eq!(batch.shape().iter().product::<usize>(), batch.data().len());
            assert!(batch.data().len() < input.len());
            let _ = (batch.sha256(), batch.equal_images());
        }
        array.is_ok()
    })
}

/// A kernel matrix.
pub(super) fn kernel(input: &[u8]) -> bool {
    with_file("kernel.npy", input, |path| {
        let Ok(kernel) = Agreement::read_npy(path) else { return false };
        assert!(4 * kernel.as_slice().len() < input.len());
        assert!(!kernel.log_det().is_nan());
        let mut written = Vec::new();
        if kernel.write_npy(&mut written).is_ok() {
            let again = with_file("again.npy", &written, |path| Agreement::read_npy(path));
            assert_eq!(again.ok().as_ref(), Some(&kernel));
        }
        true
    })
}

/// A checkpoint, and a small network with its weights.
pub(super) fn checkpoint(input: &[u8]) -> bool {
    with_file("weights.safetensors", input, |path| {
        let (checkpoint, header) = (Checkpoint::load(path), Checkpoint::read_metadata(path));
        assert_eq!(checkpoint.is_ok(), header.is_ok());
        let Ok(checkpoint) = checkpoint else { return false };
        if let (Ok(batch), Ok(network)) =
            (Batch::new([2, 2, 2, 2], (0..16u8).map(f32::from).collect()), network())
        {
            let scorer = Scorer::builder(batch).backend(Backend::Cpu).threads(1);
            if let Ok(scorer) = scorer.weights(Weights::Checkpoint(checkpoint)).build() {
                let _ = scorer.score(&network);
            }
        }
        true
    })
}

/// A network of a convolution, a batch norm and a ReLU.
fn network() -> naswot::Result<Network> {
    let mut graph = Graph::builder(2)?;
    let mut node = graph.conv(graph.input(), Conv::new(3, 1), "conv.weight")?;
    node = graph.batch_norm(node, "norm")?;
    node = graph.relu(node)?;
    Ok(Network::from_graph("small", graph.classifier(node, 2)?))
}

/// A pickle, whose containers are kept, dropped or handed over.
pub(super) fn pickle(input: &[u8]) -> bool {
    let read = [Pickle::read(input, PICKLE_LIMIT), Pickle::visit(input, PICKLE_LIMIT, &mut ByKeys)];
    read.iter().flatten().for_each(|pickle| look(pickle.value()));
    read.iter().any(Result::is_ok)
}

/// A visitor that treats containers as their keys say.
struct ByKeys;

impl Visitor for ByKeys {
    fn treatment(&self, key: &str) -> Treatment {
        match key {
            "each" => Treatment::EntryByEntry,
            "drop" => Treatment::Drop,
            _ => Treatment::Keep,
        }
    }

    fn entry(&mut self, key: Value<'_>, value: Value<'_>) -> Result<(), String> {
        look(key);
        look(value);
        Ok(())
    }
}

/// Takes a value, and the first ones in it, for all that they may be.
fn look(value: Value<'_>) {
    const FIRST: usize = 100;
    look_at_one(value);
    value.items().into_iter().flatten().take(FIRST).for_each(look_at_one);
    for (key, value) in value.entries().into_iter().flatten().take(FIRST) {
        look_at_one(key);
        look_at_one(value);
    }
}

fn look_at_one(value: Value<'_>) {
    let _ = (value.text(), value.integer(), value.real(), value.get("data").is_some());
    assert!(value.items().is_none() || value.entries().is_none());
    if let Some(array) = value.array() {
        assert!(array.bytes.len() <= PICKLE_LIMIT);
    }
}

/// A file of the cache, by itself and behind its checksum.
pub(super) fn cache(input: &[u8]) -> bool {
    let kept = with_folder("kept", input, |folder| testing::cached(folder, "kept"));
    if let Some(content) = &kept {
        assert_eq!([&Sha256::digest(content)[..], content].concat(), input);
    }
    let whole = [&Sha256::digest(input)[..], input].concat();
    let content = with_folder("kept", &whole, |folder| testing::cached(folder, "kept"));
    assert!(content.is_none_or(|content| content == input));
    kept.is_some()
}
