//! Finite numbers that stand for a score of minus infinity, as -1e8 does in published files.

use std::path::Path;

use clap::Args;

/// The scores from which on down a file is looked at twice: no measure comes near by itself.
const SUSPECT: f64 = -1e7;

/// The option that says which scores are minus infinity.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct MinusInfOption {
    /// Take scores at or under VALUE for -inf: -1e7, say, where a file has -1e8 in its place
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, value_parser = finite)]
    pub minus_inf: Option<f64>,
}

fn finite(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| "must be a finite number".to_owned())
}

/// A reader of scores that may hold such numbers.
#[derive(Default)]
pub(crate) struct MinusInfReader {
    option: MinusInfOption,
    /// Number of suspects that were taken as they are.
    suspects: usize,
}

impl MinusInfReader {
    pub(crate) fn new(option: MinusInfOption) -> Self {
        MinusInfReader { option, suspects: 0 }
    }

    /// A score, given the number that the file has in its place.
    pub(crate) fn score(&mut self, number: f64) -> f64 {
        match self.option.minus_inf {
            Some(most) if number <= most => f64::NEG_INFINITY,
            _ => {
                self.suspects += usize::from(number.is_finite() && number <= SUSPECT);
                number
            }
        }
    }

    /// The warning of suspects among the scores of a file, where there are any.
    pub(crate) fn warning(&self, file: &Path) -> Option<String> {
        let (file, are) = (file.display(), if self.suspects == 1 { "score is" } else { "scores are" });
        (self.suspects > 0).then(|| {
            let suspects = self.suspects;
            format!("{file}: {suspects} {are} at or under -1e7, as some files write -inf; --minus-inf -1e7 takes them for it")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{MinusInfOption, MinusInfReader};

    #[test]
    fn suspects_are_counted_unless_they_are_taken_for_minus_infinity() {
        let scores = [1.0, -1e8, -1e7, -9e6, f64::NEG_INFINITY];
        for (minus_inf, infinite, suspects) in
            [(None, 1, 2), (Some(-1e7), 3, 0), (Some(-5e7), 2, 1), (Some(0.0), 4, 0)]
        {
            let mut reader = MinusInfReader::new(MinusInfOption { minus_inf });
            let read = scores.map(|score| reader.score(score));
            assert_eq!(read.iter().filter(|score| score.is_infinite()).count(), infinite, "{minus_inf:?}");
            assert_eq!(reader.suspects, suspects, "{minus_inf:?}");
        }
    }
}
