//! Checkpoints that a test writes for itself.

use naswot::{Checkpoint, Graph, Op};
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::naive::Parameters;

/// The shape of every parameter of a graph, by name.
pub fn shapes(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    for node in graph.nodes() {
        match node.op() {
            Op::Conv(conv) => {
                let inputs = graph.nodes()[node.inputs()[0].index()].channels() / conv.groups;
                let shape = vec![conv.out_channels, inputs, conv.kernel[0], conv.kernel[1]];
                shapes.push((node.name().to_owned(), shape));
            }
            Op::BatchNorm { .. } => {
                for part in ["weight", "bias"] {
                    shapes.push((format!("{}.{part}", node.name()), vec![node.channels()]));
                }
            }
            _ => {}
        }
    }
    shapes
}

/// Writes parameters with these shapes to a file, and reads it as a checkpoint.
pub fn checkpoint(shapes: &[(String, Vec<usize>)], parameters: &Parameters) -> Checkpoint {
    let bytes: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(name, _)| parameters[name].iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let tensors = shapes.iter().zip(&bytes).map(|((name, shape), bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, serialize(tensors, None).unwrap()).unwrap();
    Checkpoint::load(path).unwrap()
}
