//! The limits of a chart's horizontal axis, and what lies beyond them.

use super::numbers::{grouped, label};
use crate::{Error, Result};

/// The limits of the horizontal axis of a chart, both within it. Where there is none, the axis has room for all.
///
/// ```
/// use naswot::analysis::drawing::AxisLimits;
///
/// assert_eq!(AxisLimits::default(), AxisLimits { from: None, to: None });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisLimits {
    /// The first value.
    pub from: Option<f64>,
    /// The last value, above the first.
    pub to: Option<f64>,
}

/// The values beyond the limits: how many.
pub(super) struct Beyond {
    limits: AxisLimits,
    below: usize,
    above: usize,
}

impl AxisLimits {
    /// Checks that there is an axis within the limits: finite numbers, positive ones of a logarithmic axis.
    pub(super) fn check(self, logarithmic: bool) -> Result<()> {
        let wrong = |message| Err(Error::Correlation { message });
        for limit in [self.from, self.to].into_iter().flatten() {
            if !limit.is_finite() || logarithmic && limit <= 0.0 {
                let which = if logarithmic { "logarithmic axis" } else { "axis" };
                return wrong(format!("no {which} begins or ends at {limit}"));
            }
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => {
                wrong(format!("the axis would begin at {from} and end at {to}, which is not above"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a value is within the limits.
    pub(super) fn hold(self, value: f64) -> bool {
        self.from.is_none_or(|from| value >= from) && self.to.is_none_or(|to| value <= to)
    }

    /// Counts the values beyond the limits.
    pub(super) fn beyond(self, values: impl Iterator<Item = f64>) -> Beyond {
        let (mut below, mut above) = (0, 0);
        for value in values {
            below += usize::from(self.from.is_some_and(|from| value < from));
            above += usize::from(self.to.is_some_and(|to| value > to));
        }
        Beyond { limits: self, below, above }
    }

    /// Why there is nothing to draw, where nothing is within the limits.
    pub(super) fn nothing_within(self) -> String {
        match (self.from, self.to) {
            (Some(from), Some(to)) => format!("nothing lies between {from} and {to}"),
            (Some(from), None) => format!("nothing lies at {from} or above"),
            (None, Some(to)) => format!("nothing lies at {to} or below"),
            (None, None) => unreachable!("nothing lies within an axis without limits"),
        }
    }
}

impl Beyond {
    /// The note on a picture, where there are any.
    pub(super) fn note(&self, what: &str) -> Option<String> {
        let Beyond { limits: AxisLimits { from, to }, below, above } = self;
        let side = |count: usize, side: &str, limit: Option<f64>| {
            let plural = if count == 1 { "" } else { "s" };
            let limit = limit.filter(|_| count > 0)?;
            let limit = if limit.fract() == 0.0 { label(limit, 0) } else { limit.to_string() };
            Some(format!("{} {what}{plural} {side} {limit}", grouped(count as u64)))
        };
        let sides: Vec<String> =
            [side(*below, "below", *from), side(*above, "above", *to)].into_iter().flatten().collect();
        (!sides.is_empty()).then(|| format!("Not drawn: {}", sides.join(", ")))
    }
}
