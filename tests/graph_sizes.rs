//! Graphs of any size are a value or an error that names what is too large: nothing wraps, and nothing runs out of stack.

use naswot::plan::Plan;
use naswot::{
    Backend, Batch, Conv, Convention, Error, Graph, GraphBuilder, Multiplicity, Network, NodeId, Op, Result,
    Scorer, Window,
};
use proptest::prelude::*;

/// A graph that is built upon the input.
fn graph(channels: usize, build: impl FnOnce(&mut GraphBuilder, NodeId) -> Result<NodeId>) -> Result<Graph> {
    let mut g = Graph::builder(channels)?;
    let input = g.input();
    let output = build(&mut g, input)?;
    g.output(output)
}

fn score(graph: Graph, shape: [usize; 4]) -> Result<f64> {
    let data = (0..shape.iter().product::<usize>()).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let scorer = Scorer::builder(Batch::new(shape, data)?).backend(Backend::Cpu).threads(1).build()?;
    scorer.score(&Network::from_graph("g", graph)).map(|score| score.log_det)
}

#[test]
fn sizes_that_products_would_not_fit_are_named() {
    let message = |built: Result<Graph>| match built {
        Err(Error::Graph { node, message }) => format!("{node}: {message}"),
        other => panic!("{other:?}"),
    };
    let most = i32::MAX as usize;
    assert_eq!(
        message(graph(most + 1, |_, x| Ok(x))),
        "input: has a size of 2147483648, more than 2147483647"
    );
    let conv = |c: Conv| message(graph(most, |g, x| g.conv(x, c, "c")));
    assert_eq!(conv(Conv::new(usize::MAX, 1)), "c: has a size of 18446744073709551615, more than 2147483647");
    assert_eq!(conv(Conv::new(most, 1)), "c: has more than 1099511627776 weights");
    assert_eq!(conv(Conv::new(1, most)), "c: has more than 1099511627776 weights");
    let padding = Conv::new(1, 1).padding(usize::MAX / 2 + 1);
    assert_eq!(conv(padding), "c: has a size of 9223372036854775808, more than 2147483647");
    let twice = message(graph(most, |g, x| g.concat(&[x, x])));
    assert_eq!(twice, "concat#1: has a size of 4294967294, more than 2147483647");
    let pool = message(graph(1, |g, x| g.max_pool(x, Window::new(1 << 32, 1, 0))));
    assert_eq!(pool, "max_pool#1: has a size of 4294967296, more than 2147483647");
    let classes = Graph::builder(3).and_then(|g| g.clone().classifier(g.input(), usize::MAX));
    assert_eq!(message(classes), "classifier: has a size of 18446744073709551615, more than 2147483647");

    let wide = graph(1, |g, x| g.conv(x, Conv::new(1 << 20, 1).padding(most / 2), "c")).unwrap();
    let shapes = |height, width| wide.shapes(height, width).unwrap_err().to_string();
    let all = "node `c`: has 1048576x2147483647x2147483647 numbers, more than 1099511627776 in all or 2147483647 along an axis";
    assert_eq!(shapes(1, 1), all);
    assert_eq!(
        shapes(usize::MAX, 1),
        "node `input`: has 18446744073709551615x1 pixels, more than 2147483647 along an axis"
    );
    let plan = |batch| {
        Plan::new(&graph(1, |g, x| g.relu(x)).unwrap(), batch, Convention::Relu).unwrap_err().to_string()
    };
    assert_eq!(
        plan([1 << 20, 1, 1 << 10, 1 << 10]),
        "node `input`: has 1048576x1x1024x1024 numbers, more than 1099511627776"
    );
    assert_eq!(
        plan([1, 1, 1 << 16, 1 << 16]),
        "agreement matrix: 4294967296 code bits an image do not fit 32 bits"
    );
}

#[test]
fn counts_that_do_not_fit_64_bits_are_errors() {
    let many = graph(1 << 20, |g, x| {
        let relu = Multiplicity { relu: u32::MAX, original: 1 };
        let x = g.relu_counted(x, relu)?;
        g.conv(x, Conv::new(1 << 20, 1), "c")
    });
    let many = many.unwrap();
    assert_eq!(many.parameters(), 1 << 40);
    assert_eq!(many.macs(1, 1).unwrap(), 1 << 40);
    let macs = many.macs(1 << 10, 1 << 10).unwrap();
    assert_eq!(macs, 1 << 60);
    let convs = graph(1 << 15, |g, mut x| {
        for i in 0..200 {
            x = g.conv(x, Conv::new(1 << 15, 3).padding(1), &format!("c{i}"))?;
        }
        Ok(x)
    });
    let error = convs.unwrap().macs(1 << 12, 1 << 12).unwrap_err().to_string();
    assert!(error.ends_with("multiply-accumulates, which do not fit 64 bits"), "{error}");
    let bits = many.activations(1 << 10, 1 << 10, Convention::Original).unwrap();
    assert_eq!(bits, 1 << 40);
    let error = many.activations(1 << 10, 1 << 10, Convention::Relu).unwrap_err().to_string();
    assert_eq!(error, "agreement matrix: 4722366481770133585920 code bits an image do not fit 64 bits");
}

#[test]
fn long_chains_take_no_stack() {
    const LENGTH: usize = 100_000;
    let chain = |step: &dyn Fn(&mut GraphBuilder, NodeId, NodeId) -> Result<NodeId>| {
        graph(8, |g, input| {
            let mut x = input;
            for _ in 0..LENGTH {
                x = step(g, x, input)?;
            }
            g.relu(x)
        })
    };
    let plan = |graph: Result<Graph>| Plan::new(&graph.unwrap(), [2, 8, 4, 4], Convention::Relu);
    // Each ReLU is one of the input, or of the one before.
    assert_eq!(plan(chain(&|g, x, _| g.relu(x))).unwrap().activations(), 128 * (LENGTH as u32 + 1));
    assert!(plan(chain(&|g, x, _| g.slice(x, 8))).is_ok());
    // All but the first reads nothing but channels that the one before has.
    let slices = graph(LENGTH, |g, mut x| {
        for channels in (1..=LENGTH).rev() {
            x = g.slice(x, channels)?;
        }
        g.relu(x)
    });
    assert_eq!(Plan::new(&slices.unwrap(), [2, LENGTH, 1, 1], Convention::Relu).unwrap().activations(), 1);
    for step in [
        &(|g: &mut GraphBuilder, x, input| g.add(&[x, input]))
            as &dyn Fn(&mut GraphBuilder, NodeId, NodeId) -> _,
        &|g, x, _| g.add(&[x, x]),
        &|g, x, _| g.avg_pool(x, Window::new(3, 1, 1)),
        &|g, x, _| g.max_pool(x, Window::new(3, 1, 1)),
        &|g, x, input| {
            let both = g.concat(&[x, input])?;
            g.slice(both, 8)
        },
    ] {
        match plan(chain(step)) {
            Ok(plan) => assert_eq!(plan.activations(), 128),
            Err(Error::Graph { message, .. }) => {
                assert!(message.ends_with("jobs, more than 65536"), "{message}")
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Sums that are read through end where they would be read through very many others, which changes no bit.
#[test]
fn deep_sums_have_the_bits_of_the_same_sum_in_one_node() {
    let terms = |g: &mut GraphBuilder, x: NodeId| -> Result<Vec<NodeId>> {
        (0..700)
            .map(|i| {
                let y = g.conv(x, Conv::new(8, 1), &format!("c{i}"))?;
                g.relu(y)
            })
            .collect()
    };
    let nested = graph(3, |g, x| {
        let terms = terms(g, x)?;
        let sum = terms[1..].iter().try_fold(terms[0], |sum, &term| g.add(&[sum, term]))?;
        g.relu(sum)
    });
    let flat = graph(3, |g, x| {
        let terms = terms(g, x)?;
        let sum = g.add(&terms)?;
        g.relu(sum)
    });
    let [nested, flat] = [nested, flat].map(|graph| score(graph.unwrap(), [4, 3, 4, 4]).unwrap());
    assert_eq!(nested, flat);
}

#[test]
fn doubling_grows_as_the_tensors_do() {
    let double = |levels: usize| {
        graph(3, |g, mut x| {
            for _ in 0..levels {
                let y = g.relu(x)?;
                x = g.concat(&[x, y])?;
            }
            g.relu(x)
        })
    };
    assert!(score(double(12).unwrap(), [2, 3, 1, 1]).is_ok());
    assert!(Plan::new(&double(18).unwrap(), [2, 3, 1, 1], Convention::Relu).is_ok());
    let message = double(30).unwrap_err().to_string();
    assert!(message.ends_with("more than 2147483647"), "{message}");
}

/// Sizes as people have them, and such as nobody has.
fn size() -> impl Strategy<Value = usize> {
    let wild =
        [0, 63, 64, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 61, usize::MAX];
    prop_oneof![6 => 1..18usize, 1 => prop::sample::select(wild.to_vec())]
}

/// Adds a node of some kind, if it can be.
fn add(
    g: &mut GraphBuilder,
    nodes: &[NodeId],
    kind: u8,
    picks: [prop::sample::Index; 2],
    sizes: [usize; 4],
) -> Result<NodeId> {
    let [x, y] = picks.map(|pick| nodes[pick.index(nodes.len())]);
    let [a, b, c, d] = sizes;
    let name = format!("n{}", nodes.len());
    match kind {
        0 => g.conv(x, Conv::new(a, b).padding(c).stride(d), &name),
        1 => g.conv(x, Conv::new(a, b).padding(b / 2).dilation(c).groups(d), &name),
        2 => g.batch_norm(x, &name),
        3 => g.relu_counted(x, Multiplicity { relu: a as u32, original: b as u32 }),
        4 => g.max_pool(x, Window::new(a, b, c)),
        5 => g.avg_pool(x, Window::new(a, b, c)),
        6 => g.add(&[x, y]),
        7 => g.concat(&[x, y, x]),
        8 => g.slice(x, a),
        _ => g.zero(x),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn counts_are_those_of_wide_integers(
        channels in size(),
        nodes in prop::collection::vec((0..10u8, any::<[prop::sample::Index; 2]>(), [size(), size(), size(), size()]), 1..12),
        classes in size(),
        [height, width] in [size(), size()],
    ) {
        let Ok(mut g) = Graph::builder(channels) else { return Ok(()) };
        let mut made = vec![g.input()];
        for (kind, picks, sizes) in nodes {
            made.extend(add(&mut g, &made, kind, picks, sizes));
        }
        let Ok(graph) = g.classifier(made[made.len() - 1], classes) else { return Ok(()) };
        let of = |id: NodeId| graph.nodes()[id.index()].channels() as u128;
        let (mut parameters, mut macs) = ((of(graph.output()) + 1) * classes as u128, 0);
        let shapes = graph.shapes(height, width);
        for (i, node) in graph.nodes().iter().enumerate() {
            let weights = match node.op() {
                Op::Conv(conv) => {
                    let [h, w] = conv.kernel.map(|size| size as u128);
                    of(node.inputs()[0]) / conv.groups as u128 * conv.out_channels as u128 * h * w
                }
                _ => 0,
            };
            parameters += match node.op() {
                Op::BatchNorm { .. } => 2 * node.channels() as u128,
                _ => weights,
            };
            if let Ok(shapes) = &shapes {
                macs += weights * shapes[i].height as u128 * shapes[i].width as u128;
            }
        }
        prop_assert_eq!(u128::from(graph.parameters()), parameters);
        match graph.macs(height, width) {
            Ok(counted) => prop_assert_eq!(u128::from(counted), macs),
            Err(_) => prop_assert!(shapes.is_err() || macs > u128::from(u64::MAX)),
        }
        let plan = Plan::new(&graph, [2, channels, height.min(64), width.min(64)], Convention::Relu);
        if let Ok(plan) = plan {
            let bits = graph.activations(height.min(64), width.min(64), Convention::Relu);
            prop_assert_eq!(u64::from(plan.activations()), bits.unwrap());
            prop_assert!(plan.memory().bytes(4) > 0);
        }
    }
}
