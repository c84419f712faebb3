//! Simplification: removes what cannot change a score, which is identities, zeros in sums, and whatever no counted
//! ReLU's input depends on, nor a feature that a score asks for.
//!
//! ReLUs are counted on the graph as given, before anything goes. A ReLU of zeros has the same bits for every
//! image, so it needs no value. A convolution of zeros is zero whatever its weights are, but the batch norm behind
//! it stays, since its beta may lift it off zero.

use super::features::FeatureUse;
use super::value::{Value, retain};
use crate::graph::{Convention, Graph, Op, Shape};

/// The rewriting of a node.
enum Rewrite {
    /// Computed from these inputs.
    Keep(Vec<usize>),
    /// The same as this value.
    Same(usize),
    /// Zeros.
    Zero,
}

pub(super) fn simplify<'a>(
    graph: &'a Graph,
    shapes: &[Shape],
    reached: &[bool],
    convention: Convention,
    features: &[FeatureUse],
) -> Vec<Value<'a>> {
    let segments = segments(graph, shapes);
    let mut values: Vec<Value> = Vec::with_capacity(graph.nodes().len());
    let mut place = Vec::with_capacity(graph.nodes().len());
    for (i, node) in graph.nodes().iter().enumerate() {
        let inputs: Vec<usize> = node.inputs().iter().map(|input| place[input.index()]).collect();
        let weight = match node.op() {
            Op::Relu(counts) if reached[i] => counts.under(convention),
            _ => 0,
        };
        let (op, inputs) = match rewrite(node.op(), node.channels(), inputs, &values) {
            Rewrite::Same(value) => {
                values[value].weight += weight;
                values[value].feature.add(features[i].clone());
                place.push(value);
                continue;
            }
            Rewrite::Keep(inputs) => (node.op().clone(), inputs),
            Rewrite::Zero => (Op::Zero, Vec::new()),
        };
        let weight = if matches!(op, Op::Relu(_)) { weight } else { 0 };
        // Zeros are constant: that is all there is to know of them.
        let feature = if op == Op::Zero { FeatureUse::default() } else { features[i].clone() };
        place.push(values.len());
        values.push(Value {
            name: node.name(),
            op,
            inputs,
            shape: shapes[i],
            segment: segments[i],
            weight,
            for_codes: false,
            feature,
        });
    }
    let for_codes = needed(&values, |value| value.weight > 0);
    values.iter_mut().zip(for_codes).for_each(|(value, for_codes)| value.for_codes = for_codes);
    let keep = needed(&values, |value| value.weight > 0 || value.feature.is_wanted());
    retain(values, &keep)
}

fn rewrite(op: &Op, channels: usize, inputs: Vec<usize>, values: &[Value]) -> Rewrite {
    let is_zero = |&value: &usize| values[value].op == Op::Zero;
    match op {
        Op::Zero => Rewrite::Zero,
        Op::Add => {
            let terms: Vec<usize> = inputs.into_iter().filter(|input| !is_zero(input)).collect();
            match terms.len() {
                0 => Rewrite::Zero,
                1 => Rewrite::Same(terms[0]),
                _ => Rewrite::Keep(terms),
            }
        }
        Op::Concat if inputs.iter().all(is_zero) => Rewrite::Zero,
        Op::Concat if inputs.len() == 1 => Rewrite::Same(inputs[0]),
        Op::Conv(_) | Op::Slice { .. } | Op::Relu(_) | Op::MaxPool(_) | Op::AvgPool(_)
            if is_zero(&inputs[0]) =>
        {
            Rewrite::Zero
        }
        Op::Slice { .. } if values[inputs[0]].shape.channels == channels => Rewrite::Same(inputs[0]),
        // Of a slice's first channels.
        Op::Slice { .. } if matches!(values[inputs[0]].op, Op::Slice { .. }) => {
            Rewrite::Keep(values[inputs[0]].inputs.clone())
        }
        Op::MaxPool(window) | Op::AvgPool(window) if window.is_identity() => Rewrite::Same(inputs[0]),
        // The sign of a ReLU's output is the sign of its input.
        Op::Relu(_) if matches!(values[inputs[0]].op, Op::Relu(_)) => Rewrite::Same(inputs[0]),
        _ => Rewrite::Keep(inputs),
    }
}

/// For each node, the changes of resolution on its way from the image.
fn segments(graph: &Graph, shapes: &[Shape]) -> Vec<usize> {
    let mut segments: Vec<usize> = Vec::with_capacity(shapes.len());
    for (i, node) in graph.nodes().iter().enumerate() {
        let size = |i: usize| (shapes[i].height, shapes[i].width);
        let through = |input: usize| segments[input] + usize::from(size(input) != size(i));
        segments.push(node.inputs().iter().map(|input| through(input.index())).max().unwrap_or(0));
    }
    segments
}

/// The values that are wanted, and whatever they depend on.
fn needed(values: &[Value], is_wanted: impl Fn(&Value) -> bool) -> Vec<bool> {
    let mut needed: Vec<bool> = values.iter().map(is_wanted).collect();
    for i in (0..values.len()).rev() {
        if needed[i] {
            values[i].inputs.iter().for_each(|&input| needed[input] = true);
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv, GraphBuilder, NodeId, Window};

    fn simplified(build: impl FnOnce(&mut GraphBuilder) -> NodeId) -> Vec<&'static str> {
        let mut g = Graph::builder(3).unwrap();
        let output = build(&mut g);
        let graph = g.output(output).unwrap();
        let shapes = graph.shapes(8, 8).unwrap();
        let reached = graph.reached();
        let features = vec![FeatureUse::default(); shapes.len()];
        let values = simplify(&graph, &shapes, &reached, Convention::Relu, &features);
        values.iter().map(|value| value.op.name()).collect()
    }

    #[test]
    fn identities_go() {
        let ops = simplified(|g| {
            let x = g.slice(g.input(), 3).unwrap();
            let x = g.add(&[x]).unwrap();
            let x = g.concat(&[x]).unwrap();
            let x = g.max_pool(x, Window::new(1, 1, 0)).unwrap();
            g.relu(x).unwrap()
        });
        assert_eq!(ops, ["input", "relu"]);
    }

    #[test]
    fn a_conv_behind_a_zero_edge_is_not_run_although_its_relu_counts() {
        let ops = simplified(|g| {
            let x = g.relu(g.input()).unwrap();
            let x = g.conv(x, Conv::new(3, 1), "dead").unwrap();
            let x = g.zero(x).unwrap();
            g.add(&[x, g.input()]).unwrap()
        });
        assert_eq!(ops, ["input", "relu"]);
    }

    #[test]
    fn a_conv_and_a_sum_of_zeros_are_zeros_but_a_batch_norm_is_not() {
        let ops = simplified(|g| {
            let zero = g.zero(g.input()).unwrap();
            let zero = g.add(&[zero, zero]).unwrap();
            let zero = g.relu(zero).unwrap();
            let x = g.conv(zero, Conv::new(3, 1), "conv").unwrap();
            let x = g.batch_norm(x, "norm").unwrap();
            g.relu(x).unwrap()
        });
        assert_eq!(ops, ["zero", "batch_norm", "relu"]);
    }

    #[test]
    fn nothing_behind_the_last_counted_relu_stays() {
        let ops = simplified(|g| {
            let x = g.relu(g.input()).unwrap();
            let x = g.relu(x).unwrap();
            g.conv(x, Conv::new(4, 1), "conv").unwrap()
        });
        assert_eq!(ops, ["input", "relu"]);
    }
}
