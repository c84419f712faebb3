//! Merging of values: what several nodes compute alike is computed once. Operations without parameters on the same
//! inputs are one (k ReLUs of one tensor count k times), zeros of one shape and segment are one tensor, and convolutions
//! of one input and one geometry share a job.

use std::collections::HashMap;

use super::value::{Value, retain};
use crate::graph::{Conv, Op, Shape};

/// A value that is a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConvValue {
    pub(super) value: usize,
    pub(super) conv: Conv,
}

/// Convolutions that one job computes, side by side: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConvGroup {
    pub(super) members: Vec<ConvValue>,
    /// Whether the outputs carry the initializer's true scale, because something other than a batch norm reads
    /// them.
    pub(super) scaled: bool,
}

/// The geometry that convolutions of one job have in common.
#[derive(PartialEq, Eq, Hash)]
struct Geometry {
    input: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    /// Bits of the standard deviation, where the outputs carry it.
    scale: Option<u64>,
    /// The conv's own position where its channels are grouped: such a job stays alone.
    alone: Option<usize>,
    for_codes: bool,
}

pub(super) fn merge(values: Vec<Value<'_>>) -> (Vec<Value<'_>>, Vec<ConvGroup>) {
    let values = merge_alike(values);
    let groups = group_convs(&values);
    (values, groups)
}

/// Operations without parameters on the same inputs become one; ReLUs add their weights.
fn merge_alike(mut values: Vec<Value<'_>>) -> Vec<Value<'_>> {
    let mut zeros: HashMap<(Shape, usize), usize> = HashMap::new();
    let mut same: Vec<usize> = (0..values.len()).collect();
    let mut keep = vec![true; values.len()];
    // Of each value the last one kept that reads it first, and of that the one before: alike are only those that do.
    let mut last_reader: Vec<Option<usize>> = vec![None; values.len()];
    let mut reader_before: Vec<Option<usize>> = vec![None; values.len()];
    for i in 0..values.len() {
        values[i].inputs.iter_mut().for_each(|input| *input = same[*input]);
        let first = match &values[i].op {
            Op::Conv(_) | Op::BatchNorm { .. } | Op::Input => continue,
            Op::Zero => *zeros.entry((values[i].shape, values[i].segment)).or_insert(i),
            op => {
                let input = values[i].inputs[0];
                let others = std::iter::successors(last_reader[input], |&reader| reader_before[reader]);
                let alike = |&other: &usize| {
                    values[other].inputs == values[i].inputs && computes_alike(&values[other].op, op)
                };
                match { others }.find(alike) {
                    Some(first) => first,
                    None => {
                        reader_before[i] = last_reader[input].replace(i);
                        i
                    }
                }
            }
        };
        if first != i {
            values[first].weight += values[i].weight;
            values[first].for_codes |= values[i].for_codes;
            let feature = std::mem::take(&mut values[i].feature);
            values[first].feature.add(feature);
            same[i] = first;
            keep[i] = false;
        }
    }
    retain(values, &keep)
}

/// Whether two operations without parameters are one.
fn computes_alike(a: &Op, b: &Op) -> bool {
    match (a, b) {
        // The multiplicity is in the weight.
        (Op::Relu(_), Op::Relu(_)) => true,
        _ => a == b,
    }
}

fn group_convs(values: &[Value]) -> Vec<ConvGroup> {
    // Whether something other than a batch norm reads a value, be it for features alone.
    let mut is_read_bare = vec![false; values.len()];
    for value in values.iter().filter(|value| !matches!(value.op, Op::BatchNorm { .. })) {
        value.inputs.iter().for_each(|&input| is_read_bare[input] = true);
    }
    let mut seen: HashMap<Geometry, usize> = HashMap::new();
    let mut groups: Vec<ConvGroup> = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let Op::Conv(conv) = &value.op else { continue };
        let scaled = is_read_bare[i];
        let group = *seen.entry(geometry(values, i, conv, scaled)).or_insert_with(|| {
            groups.push(ConvGroup { members: Vec::new(), scaled });
            groups.len() - 1
        });
        groups[group].members.push(ConvValue { value: i, conv: *conv });
    }
    groups
}

fn geometry(values: &[Value], i: usize, conv: &Conv, scaled: bool) -> Geometry {
    let input = values[i].inputs[0];
    Geometry {
        input,
        kernel: conv.kernel,
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
        scale: scaled.then(|| conv.standard_deviation(values[input].shape.channels).to_bits()),
        alone: (conv.groups > 1).then_some(i),
        for_codes: values[i].for_codes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::features::FeatureUse;
    use crate::plan::simplify::simplify;
    use crate::{Convention, Graph, GraphBuilder, Multiplicity, NodeId};

    fn graph(build: impl FnOnce(&mut GraphBuilder) -> NodeId) -> Graph {
        let mut g = Graph::builder(8).unwrap();
        let output = build(&mut g);
        g.output(output).unwrap()
    }

    fn merged(graph: &Graph) -> (Vec<Value<'_>>, Vec<ConvGroup>) {
        let shapes = graph.shapes(8, 8).unwrap();
        let features = vec![FeatureUse::default(); shapes.len()];
        merge(simplify(graph, &shapes, &graph.reached(), Convention::Original, &features))
    }

    #[test]
    fn relus_of_one_tensor_add_their_weights() {
        let graph = graph(|g| {
            let a = g.relu_counted(g.input(), Multiplicity::RELU_CONV_BN).unwrap();
            let b = g.relu(g.input()).unwrap();
            g.concat(&[a, b]).unwrap()
        });
        let (values, _) = merged(&graph);
        assert_eq!(values.len(), 2);
        assert_eq!(values[1].weight, 3);
    }

    #[test]
    fn batch_norms_of_zeros_share_one_tensor() {
        let graph = graph(|g| {
            let mut outputs = Vec::new();
            for name in ["a", "b"] {
                let zero = g.zero(g.input()).unwrap();
                let y = g.conv(zero, Conv::new(5, 3).padding(1), name).unwrap();
                let y = g.batch_norm(y, &format!("{name}.norm")).unwrap();
                outputs.push(g.relu(y).unwrap());
            }
            g.concat(&outputs).unwrap()
        });
        let (values, groups) = merged(&graph);
        let ops: Vec<_> = values.iter().map(|value| value.op.name()).collect();
        assert_eq!(ops, ["zero", "batch_norm", "relu", "batch_norm", "relu"]);
        assert!(groups.is_empty());
    }

    #[test]
    fn convs_of_one_input_share_a_job_unless_only_one_of_them_keeps_its_scale() {
        let graph = graph(|g| {
            let x = g.input();
            let mut outputs = Vec::new();
            for (name, channels, kernel, norm) in
                [("a", 8, 1, true), ("b", 5, 1, true), ("c", 8, 3, true), ("d", 8, 1, false)]
            {
                let mut y = g.conv(x, Conv::new(channels, kernel).padding(kernel / 2), name).unwrap();
                if norm {
                    y = g.batch_norm(y, &format!("{name}.norm")).unwrap();
                }
                outputs.push(g.relu(y).unwrap());
            }
            g.concat(&outputs).unwrap()
        });
        let (_, groups) = merged(&graph);
        let members: Vec<usize> = groups.iter().map(|group| group.members.len()).collect();
        assert_eq!(members, [2, 1, 1]);
        assert!(groups[2].scaled && !groups[0].scaled);
    }
}
