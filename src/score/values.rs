//! Values of the scores beside NASWOT's for one network.

use serde::{Serialize, Serializer};

use super::{ScoreKind, Scores};

/// The values of some scores beside NASWOT's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ScoreValues {
    /// In the register's order; none where a score was not asked for.
    values: [Option<f64>; ScoreKind::ALL.len()],
}

impl ScoreValues {
    pub(crate) fn get(&self, kind: ScoreKind) -> Option<f64> {
        self.values[kind as usize]
    }

    /// Those that were asked for, where what others read has been made too.
    pub(crate) fn of(self, scores: &Scores) -> Self {
        let mut asked = ScoreValues::default();
        scores.iter().for_each(|kind| asked.values[kind as usize] = self.get(kind));
        asked
    }

    pub(crate) fn set(&mut self, kind: ScoreKind, value: f64) {
        self.values[kind as usize] = Some(value);
    }
}

impl Serialize for ScoreValues {
    /// A map of names to numbers, or to the text `-inf` where one is negative infinity.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kinds = ScoreKind::ALL.iter().filter(|&&kind| kind != ScoreKind::Nwot);
        serializer.collect_map(kinds.map(|&kind| (kind.name(), self.get(kind).map(Number))))
    }
}

/// The value of a score, serialized by [`or_infinity`].
#[derive(Serialize)]
struct Number(#[serde(serialize_with = "or_infinity")] f64);

/// A number, or the text `-inf`: JSON has no infinity.
pub(crate) fn or_infinity<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *number {
        f64::NEG_INFINITY => serializer.serialize_str("-inf"),
        number => serializer.serialize_f64(number),
    }
}
