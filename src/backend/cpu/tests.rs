//! Seeded weights leave the initializer's scale out of convolutions and bring it back as eps / scale^2, or in an
//! epilogue where no batch norm follows. The same weights in a checkpoint carry it, and must make the same K.

use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::graph::{Conv, Graph, Initializer, Op};
use crate::weights::RowShape;
use crate::{Agreement, Batch, Checkpoint, Network, Precision, Scorer, Weights, nasbench101, nasbench201};

/// The seeded weights of a network as a checkpoint, gammas 1 and betas 0; and whether f32 holds them exactly.
fn exported(network: &Network, seed: u64) -> (Weights, bool) {
    let source = Weights::Seeded { seed }.source();
    let mut exact = true;
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let nodes = network.graph().nodes();
    for node in nodes {
        match node.op() {
            Op::Conv(conv) => {
                let all_inputs = nodes[node.inputs()[0].index()].channels();
                let [height, width] = conv.kernel;
                let in_channels = all_inputs / conv.groups;
                let shape = RowShape { out_channels: conv.out_channels, in_channels, kernel: conv.kernel };
                let mut rows = Vec::new();
                let octets = 0..conv.out_channels.div_ceil(8);
                source.rows(node.name(), &shape, conv.initializer.distribution(), octets, &mut rows).unwrap();
                let scale = source.scale(conv.standard_deviation(all_inputs));
                let padded = in_channels.next_multiple_of(8);
                let mut bytes = Vec::new();
                for k in 0..conv.out_channels {
                    for c in 0..in_channels {
                        for tap in 0..height * width {
                            let weight = f64::from(rows[k * shape.row_len() + tap * padded + c]) * scale;
                            exact &= f64::from(weight as f32) == weight;
                            bytes.extend((weight as f32).to_le_bytes());
                        }
                    }
                }
                let shape = vec![conv.out_channels, in_channels, height, width];
                tensors.push((node.name().to_owned(), shape, bytes));
            }
            Op::BatchNorm { .. } => {
                for (part, value) in [("weight", 1.0f32), ("bias", 0.0)] {
                    let bytes = value.to_le_bytes().repeat(node.channels());
                    tensors.push((format!("{}.{part}", node.name()), vec![node.channels()], bytes));
                }
            }
            _ => {}
        }
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, serialize(views, None).unwrap()).unwrap();
    (Weights::Checkpoint(Checkpoint::load(path).unwrap()), exact)
}

/// K in f64 with the seeded weights and with the checkpoint, and whether the two had equal weights.
fn both(network: &Network, seed: u64) -> (Agreement, Agreement, bool) {
    let batch = Batch::synthetic(4, 1).unwrap();
    let kernel = |weights| {
        let builder = Scorer::builder(batch.clone()).weights(weights).precision(Precision::F64);
        builder.keep_kernels(true).build().unwrap().score(network).unwrap().kernel.unwrap()
    };
    let (checkpoint, exact) = exported(network, seed);
    (kernel(Weights::Seeded { seed }), kernel(checkpoint), exact)
}

#[test]
fn seeded_weights_and_their_checkpoint_give_one_kernel() {
    let skeleton = nasbench101::Skeleton { stem: 12, stacks: 2, cells: 1 };
    let cells = nasbench101::sample(6, 1).unwrap();
    let mut networks: Vec<Network> = cells.iter().map(|cell| cell.network(&skeleton).unwrap()).collect();
    networks.extend(
        nasbench201::sample(6, 1)
            .unwrap()
            .iter()
            .map(|cell| cell.network(&nasbench201::Skeleton { stem: 4, cells: 1 }).unwrap()),
    );
    for network in networks {
        // Rounding the scaled weights to f32 is as much as computing in it.
        let (seeded, loaded, _) = both(&network, 3);
        let pairs = seeded.as_slice().iter().zip(loaded.as_slice());
        let difference: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(difference as f64 <= 1e-5 * 16.0 * f64::from(seeded.activations()), "{difference}");
    }
}

#[test]
fn a_scale_that_is_a_power_of_two_gives_exactly_one_kernel() {
    let mut g = Graph::builder(3).unwrap();
    let conv = Conv::new(8, 1).initializer(Initializer::KaimingNormalFanOut);
    let mut parts = Vec::new();
    // Deviations of 1/2, as sqrt(2 / 8): normalized, bare, and both read by two.
    for (name, normalized) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        let mut x = g.conv(g.input(), conv, &format!("{name}.weight")).unwrap();
        if name == "c" {
            parts.push(g.relu(x).unwrap());
        }
        if normalized {
            x = g.batch_norm(x, &format!("{name}.norm")).unwrap();
        }
        x = g.relu(x).unwrap();
        // An eps of this size is seen: the variance is small.
        x = g.batch_norm_with(x, &format!("{name}.last"), crate::Eps::new(0.1).unwrap()).unwrap();
        parts.push(g.relu(x).unwrap());
        let deep = g.conv(x, Conv { kernel: [2, 2], ..conv }, &format!("{name}.deep")).unwrap();
        let sum = g.add(&[deep, deep]).unwrap();
        let sum = g.avg_pool(sum, crate::Window::new(2, 1, 1)).unwrap();
        parts.push(g.add(&[sum, x]).unwrap());
    }
    let sum = g.concat(&parts).unwrap();
    let sum = g.relu(sum).unwrap();
    let graph = g.output(sum).unwrap();
    for seed in 0..5 {
        let (seeded, loaded, exact) = both(&Network::from_graph("powers", graph.clone()), seed);
        assert!(exact);
        assert_eq!(seeded, loaded, "seed {seed}");
    }
}
