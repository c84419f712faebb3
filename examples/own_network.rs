//! Scores a network of your own: a small ResNet, built node by node.
//!
//!     cargo run --release --example own_network

use naswot::{Batch, Conv, Graph, GraphBuilder, Network, NodeId, Result, Scorer};

/// Convolution, batch norm, and names as torchvision's ResNet spells them.
fn conv_norm(g: &mut GraphBuilder, x: NodeId, conv: Conv, names: [&str; 2]) -> Result<NodeId> {
    let x = g.conv(x, conv, &format!("{}.weight", names[0]))?;
    g.batch_norm(x, names[1])
}

/// A basic block (He et al., 2016): two 3x3 convolutions beside a shortcut, ReLU after the sum.
fn basic_block(
    g: &mut GraphBuilder,
    x: NodeId,
    name: &str,
    channels: usize,
    stride: usize,
) -> Result<NodeId> {
    let at = |part: &str| format!("{name}.{part}");
    let first = Conv::new(channels, 3).stride(stride).padding(1);
    let y = conv_norm(g, x, first, [&at("conv1"), &at("bn1")])?;
    let y = g.relu(y)?;
    let second = Conv::new(channels, 3).padding(1);
    let y = conv_norm(g, y, second, [&at("conv2"), &at("bn2")])?;
    let shortcut = if stride == 1 && g.channels(x)? == channels {
        x
    } else {
        let conv = Conv::new(channels, 1).stride(stride);
        conv_norm(g, x, conv, [&at("downsample.0"), &at("downsample.1")])?
    };
    let sum = g.add(&[y, shortcut])?;
    g.relu(sum)
}

/// A ResNet for 32x32 images: three stages of `depth` blocks.
fn resnet(depth: usize, width: usize) -> Result<Graph> {
    let mut g = Graph::builder(3)?;
    let x = g.input();
    let x = conv_norm(&mut g, x, Conv::new(width, 3).padding(1), ["conv1", "bn1"])?;
    let mut x = g.relu(x)?;
    for stage in 0..3 {
        for block in 0..depth {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            x = basic_block(&mut g, x, &name, width << stage, stride)?;
        }
    }
    g.classifier(x, 10)
}

fn main() -> Result<()> {
    let scorer = Scorer::builder(Batch::synthetic(32, 0)?).build()?;
    println!("{:<12} {:>10} {:>12} {:>9}", "network", "parameters", "activations", "score");
    for depth in [1, 2, 3] {
        let network = Network::from_graph(format!("resnet-{}", 6 * depth + 2), resnet(depth, 16)?);
        let score = scorer.score(&network)?;
        println!(
            "{:<12} {:>10} {:>12} {:>9.3}",
            network.id(),
            score.parameters,
            score.activations,
            score.log_det
        );
    }
    Ok(())
}
