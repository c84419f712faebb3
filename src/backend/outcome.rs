//! Outcomes of networks.

use crate::score::ScoreValues;
use crate::{Agreement, Codes};

/// The outcome of one network's forward pass.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) log_det: f64,
    /// Scores beside NASWOT's, where they were asked for.
    pub(crate) scores: ScoreValues,
    /// K and the codes that it is counted from, where they are to be kept.
    pub(crate) agreement: Option<Agreement>,
    pub(crate) codes: Option<Codes>,
    pub(crate) activations: u32,
    /// Wall time of its group, by networks in it.
    pub(crate) seconds: f64,
}
