//! Graphs, built by operations that bytes choose.

use std::array;

use naswot::plan::Plan;
use naswot::{Conv, Convention, Graph, GraphBuilder, Multiplicity, NodeId, Result, Window};

/// Sizes of all magnitudes, with the bounds of 32 and 64 bits.
const SIZES: [usize; 16] = [
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    64,
    65,
    0,
    1 << 16,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as usize,
    1 << 33,
    usize::MAX,
];

/// Bytes of an operation: which one, of which two nodes, with which sizes.
const OPERATION: usize = 7;

/// A graph of as many operations as the input has bytes for, and its plan for small images.
pub(super) fn graph(input: &[u8]) -> bool {
    let Some((head, operations)) = input.split_at_checked(4) else { return false };
    let [channels, height, width, classes] = array::from_fn(|i| size(head[i]));
    let Ok(mut builder) = Graph::builder(channels) else { return false };
    let mut made = vec![builder.input()];
    for operation in operations.chunks_exact(OPERATION) {
        made.extend(add(&mut builder, &made, operation));
    }
    let Ok(graph) = builder.classifier(made[made.len() - 1], classes) else { return false };
    let _ = (
        graph.parameters(),
        graph.macs(height, width),
        graph.activations(height, width, Convention::Original),
    );
    let (height, width) = (height.min(16), width.min(16));
    let Ok(plan) = Plan::new(&graph, [2, channels, height, width], Convention::Relu) else { return false };
    let bits = graph.activations(height, width, Convention::Relu);
    assert_eq!(bits.ok(), Some(u64::from(plan.activations())));
    assert!(plan.memory().bytes(4) > 0);
    assert!(!plan.to_string().is_empty());
    true
}

fn size(byte: u8) -> usize {
    SIZES[usize::from(byte) % SIZES.len()]
}

fn add(builder: &mut GraphBuilder, made: &[NodeId], operation: &[u8]) -> Result<NodeId> {
    let [x, y] = array::from_fn(|i| made[usize::from(operation[1 + i]) % made.len()]);
    let [a, b, c, d] = array::from_fn(|i| size(operation[3 + i]));
    let name = format!("node{}", made.len());
    match operation[0] % 10 {
        0 => builder.conv(x, Conv::new(a, b).padding(c).stride(d), &name),
        1 => builder.conv(x, Conv::new(a, b).padding(b / 2).dilation(c).groups(d), &name),
        2 => builder.batch_norm(x, &name),
        3 => builder.relu_counted(x, Multiplicity { relu: a as u32, original: b as u32 }),
        4 => builder.max_pool(x, Window::new(a, b, c)),
        5 => builder.avg_pool(x, Window::new(a, b, c)),
        6 => builder.add(&[x, y]),
        7 => builder.concat(&[x, y, x]),
        8 => builder.slice(x, a),
        _ => builder.zero(x),
    }
}
