//! The passes' own form of a graph: values, each computed by one operation from earlier values.

use crate::graph::{Op, Shape, Window};

/// One tensor that the network computes, in topological order.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Name of the graph's node.
    pub(super) name: String,
    /// What makes it. `Op::Zero` has no inputs here: it is a tensor of zeros.
    pub(super) op: Op,
    pub(super) inputs: Vec<usize>,
    pub(super) shape: Shape,
    /// Changes of resolution on the way from the image, dead branches included.
    pub(super) segment: usize,
    /// Of a ReLU: how often its bits count.
    pub(super) weight: u32,
}

/// Average pooling that keeps the resolution, which a reader applies while it reads.
pub(super) const AVERAGE_3X3: Op = Op::AvgPool(Window { kernel: [3, 3], stride: [1, 1], padding: [1, 1] });

/// For each value, the values that read it, once an edge.
pub(super) fn readers(values: &[Value]) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); values.len()];
    for (reader, value) in values.iter().enumerate() {
        for &input in &value.inputs {
            readers[input].push(reader);
        }
    }
    readers
}

/// Keeps some values, in order, and renames the inputs.
pub(super) fn retain(values: Vec<Value>, keep: &[bool]) -> Vec<Value> {
    let mut place = vec![usize::MAX; values.len()];
    let mut kept = Vec::new();
    for (i, mut value) in values.into_iter().enumerate() {
        if keep[i] {
            place[i] = kept.len();
            value.inputs.iter_mut().for_each(|input| *input = place[*input]);
            kept.push(value);
        }
    }
    kept
}
