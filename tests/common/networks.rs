//! Small networks and batches that tests score.

use std::sync::mpsc::{Sender, channel};

use naswot::nasbench101::{self, Skeleton};
use naswot::workloads::{NASBENCH101, NASBENCH201};
use naswot::{Architecture, Batch, Graph, Network, Score, Scorer, nasbench201};

use super::graphs::Noise;

/// N images of 3 x 8 x 8 roughly normal numbers.
pub fn noise(n: usize, seed: u64) -> Batch {
    let mut noise = Noise(seed);
    Batch::new([n, 3, 8, 8], (0..n * 3 * 64).map(|_| noise.number()).collect()).unwrap()
}

/// Networks of both spaces, some cells of which are disconnected, pooled or truncated.
pub fn mixed(count: usize) -> Vec<Network> {
    let skeleton = Skeleton { stem: 12, stacks: 2, cells: 1 };
    let cells = nasbench101::sample(count.div_ceil(2), 7).unwrap();
    let others = nasbench201::sample(count / 2, 3).unwrap();
    let mut networks: Vec<Network> = cells.iter().map(|cell| cell.network(&skeleton).unwrap()).collect();
    for (i, cell) in others.iter().enumerate() {
        networks.insert(2 * i + 1, cell.network(&nasbench201::Skeleton { stem: 4, cells: 1 }).unwrap());
    }
    networks
}

/// Networks of a producer that waits for a message before it makes the next one, and what sends them.
pub fn waiting(networks: Vec<Network>) -> (impl Iterator<Item = Network> + Send + 'static, Sender<()>) {
    let (known, wait) = channel();
    let producer = (0..).zip(networks).take_while(move |&(i, _)| i == 0 || wait.recv().is_ok());
    (producer.map(|(_, network)| network), known)
}

/// Checks that a scorer answers a producer which waits for each score before it makes the next network.
pub fn answers_a_producer_that_waits(scorer: &Scorer, networks: Vec<Network>) {
    let score = |score: naswot::Result<Score>| score.unwrap().log_det.to_bits();
    let expected: Vec<u64> = scorer.score_all(&networks).into_iter().map(score).collect();
    let (producer, known) = waiting(networks);
    let streamed = scorer.stream(producer).map(|result| {
        // The producer of the last network waits for nothing.
        let _ = known.send(());
        score(result)
    });
    assert_eq!(streamed.collect::<Vec<_>>(), expected);
}

/// A network without weights: the ReLU of the image.
pub fn relu_of_the_image() -> Network {
    let mut g = Graph::builder(3).unwrap();
    let x = g.relu(g.input()).unwrap();
    Network::from_graph("relu", g.output(x).unwrap())
}

/// The cells that benches and design figures are measured on.
pub fn workload(space: &str) -> Vec<Architecture> {
    let cells = match space {
        "nasbench101" => NASBENCH101,
        "nasbench201" => NASBENCH201,
        _ => panic!("no standard workload is of {space}"),
    };
    Architecture::read_lines(cells.as_bytes()).map(|(_, architecture)| architecture.unwrap()).collect()
}
