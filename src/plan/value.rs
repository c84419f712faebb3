//! The passes' own form of a graph: values, each computed by one operation from earlier values.

use super::features::FeatureUse;
use crate::graph::{Op, Shape, Window};

/// One tensor that the network computes, in topological order.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    /// Name of the graph's node.
    pub(super) name: &'a str,
    /// The operation that makes it. `Op::Zero` has no inputs here: it is a tensor of zeros.
    pub(super) op: Op,
    pub(super) inputs: Vec<usize>,
    pub(super) shape: Shape,
    /// Changes of resolution on the way from the image, dead branches included.
    pub(super) segment: usize,
    /// How often the bits of a ReLU count; 0 of all other operations.
    pub(super) weight: u32,
    /// Whether code bits depend on it; else only scores of features do.
    pub(super) for_codes: bool,
    /// What scores of features ask for of it.
    pub(super) feature: FeatureUse,
}

/// Average pooling that keeps the resolution, which a reader applies while it reads.
pub(super) const AVERAGE_3X3: Op = Op::AvgPool(Window { kernel: [3, 3], stride: [1, 1], padding: [1, 1] });

/// Readers of each value, once an edge, in order. Of a value that code bits depend on, only those that they depend on too: so
/// how these are computed is the same whatever else is asked for.
pub(super) struct Readers {
    /// Of all values, one after the other, and where those of each end.
    readers: Vec<usize>,
    ends: Vec<usize>,
}

impl Readers {
    pub(super) fn new(values: &[Value]) -> Self {
        let counts = |reader: &Value, input: usize| reader.for_codes || !values[input].for_codes;
        // First where those of each begin; each one that is added moves that on, at last to its end.
        let mut ends = vec![0; values.len() + 1];
        for value in values {
            value
                .inputs
                .iter()
                .filter(|&&input| counts(value, input))
                .for_each(|&input| ends[input + 1] += 1);
        }
        for value in 0..values.len() {
            ends[value + 1] += ends[value];
        }
        let mut readers = vec![0; ends[values.len()]];
        for (reader, value) in values.iter().enumerate() {
            for &input in value.inputs.iter().filter(|&&input| counts(value, input)) {
                readers[ends[input]] = reader;
                ends[input] += 1;
            }
        }
        Readers { readers, ends }
    }

    pub(super) fn of(&self, value: usize) -> &[usize] {
        let start = if value == 0 { 0 } else { self.ends[value - 1] };
        &self.readers[start..self.ends[value]]
    }
}

/// Keeps some values, in order, and renames the inputs.
pub(super) fn retain<'a>(values: Vec<Value<'a>>, keep: &[bool]) -> Vec<Value<'a>> {
    let mut place: Vec<Option<usize>> = vec![None; values.len()];
    let mut kept = Vec::with_capacity(values.len());
    for (i, mut value) in values.into_iter().enumerate() {
        if keep[i] {
            place[i] = Some(kept.len());
            for input in &mut value.inputs {
                let Some(kept) = place[*input] else { unreachable!("what is kept reads what is kept") };
                *input = kept;
            }
            kept.push(value);
        }
    }
    kept
}
