//! The inputs of a row: its network, the figures of the network's graph and the outcome of scoring.

use naswot::{Architecture, Convention, Network, Score, ScoreKind, Settings};

use crate::options::SkeletonOptions;

/// The inputs that the fields of a row are computed from.
pub struct RowInputs<'a> {
    /// The network.
    pub subject: &'a Subject<'a>,
    /// Its scores, or why it has none.
    pub outcome: Result<&'a Outcome, &'a str>,
    /// The scorer's settings.
    pub settings: &'a Settings,
    /// The settings of the network around the cell.
    pub skeleton: SkeletonOptions,
}

/// The network that a row is of.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Position among the networks of the input.
    pub index: usize,
    /// Line of the input, from 1.
    pub line: Option<usize>,
    /// The architecture; none where the line could not be read.
    pub architecture: Option<&'a Architecture>,
    /// Figures of its graph; none where it has not been built.
    pub facts: Option<&'a Facts>,
}

/// The figures of a network that its graph gives, whether it is scored or not.
pub struct Facts {
    /// Its name in the benchmark.
    pub id: String,
    /// Trainable parameters.
    pub parameters: u64,
    /// ReLU bits of one image, N_A; none where the images do not fit the network.
    pub activations: Option<u64>,
    /// Multiply-accumulates for one image; none likewise.
    pub macs: Option<u64>,
    /// Convolutions with a path to the output.
    pub convolutions: u64,
}

impl Facts {
    /// Computes the figures for images of a height and a width.
    pub fn of(network: &Network, [height, width]: [usize; 2], convention: Convention) -> Self {
        Facts {
            id: network.id().to_owned(),
            parameters: network.parameters(),
            activations: network.activations(height, width, convention).ok(),
            macs: network.macs(height, width).ok(),
            convolutions: network.convolutions(),
        }
    }
}

/// The result of scoring a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Scores in the order of [`ScoreKind::ALL`]; none of those that were not asked for.
    scores: [Option<f64>; ScoreKind::ALL.len()],
    /// Standard deviation of NASWOT's score over repeats, where there is one.
    pub deviation: Option<f64>,
    /// Wall time, in seconds, as the column `seconds` has it.
    pub seconds: f64,
}

impl From<&Score> for Outcome {
    fn from(score: &Score) -> Self {
        Outcome::new(|kind| score.get(kind.name()), score.deviation, score.seconds)
    }
}

impl Outcome {
    /// The outcome of a network that was scored, given its scores by kind.
    pub fn new(score: impl Fn(ScoreKind) -> Option<f64>, deviation: Option<f64>, seconds: f64) -> Self {
        let scores = std::array::from_fn(|place| score(ScoreKind::ALL[place]));
        Outcome { scores, deviation, seconds }
    }

    /// The score of a kind; none where it was not asked for.
    pub fn score(&self, score: ScoreKind) -> Option<f64> {
        self.scores[score as usize]
    }
}
