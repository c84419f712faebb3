//! The line through points: ordinary least squares.
//!
//! ```text
//! y = intercept + slope x        slope = sum (x - mean x) (y - mean y) / sum (x - mean x)^2
//! ```

/// The least-squares line of values y over values x.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Trend {
    /// Change of y for each unit of x.
    pub slope: f64,
    /// y where x is 0.
    pub intercept: f64,
}

impl Trend {
    /// The line through the points of which both coordinates are finite. `None` where fewer than two are, where all x
    /// are equal, or where numbers are too large for a sum of squares.
    ///
    /// ```
    /// use naswot::analysis::Trend;
    ///
    /// let scores = [1.0, 2.0, 3.0, f64::NEG_INFINITY];
    /// let trend = Trend::of(&scores, &[0.5, 0.7, 0.9, 0.1]).unwrap();
    /// assert!((trend.slope - 0.2).abs() < 1e-12);
    /// assert!((trend.at(2.0) - 0.7).abs() < 1e-12);
    /// assert_eq!(Trend::of(&[5.0, 5.0], &[0.1, 0.2]), None);
    /// ```
    pub fn of(x: &[f64], y: &[f64]) -> Option<Self> {
        let points: Vec<(f64, f64)> = std::iter::zip(x.iter().copied(), y.iter().copied())
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        let n = points.len() as f64;
        let mean_x = points.iter().map(|(x, _)| x / n).sum::<f64>();
        let mean_y = points.iter().map(|(_, y)| y / n).sum::<f64>();
        // About the means, so that nothing cancels.
        let (mut squares, mut products) = (0.0, 0.0);
        for (x, y) in &points {
            squares += (x - mean_x) * (x - mean_x);
            products += (x - mean_x) * (y - mean_y);
        }
        let slope = products / squares;
        let trend = Trend { slope, intercept: mean_y - slope * mean_x };
        let defined =
            squares > 0.0 && squares.is_finite() && slope.is_finite() && trend.intercept.is_finite();
        defined.then_some(trend)
    }

    /// The line's y at an x.
    ///
    /// ```
    /// use naswot::analysis::Trend;
    ///
    /// assert_eq!(Trend::of(&[0.0, 2.0], &[1.0, 5.0]).map(|trend| trend.at(3.0)), Some(7.0));
    /// ```
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python's fractions, which do not round.
    const EXACT: [f64; 2] = [1.2023070303960557, 37.90060233958929];

    #[test]
    fn equals_exact_arithmetic_also_far_from_zero() {
        let points = |i: u32| (f64::from(i * 37 % 101), f64::from(i * 37 % 101 + i * i % 97));
        let (x, y): (Vec<f64>, Vec<f64>) = (0..50).map(points).unzip();
        let near = Trend::of(&x, &y).unwrap();
        assert!(
            (near.slope - EXACT[0]).abs() < 1e-12 && (near.intercept - EXACT[1]).abs() < 1e-10,
            "{near:?}"
        );
        let far: Vec<f64> = x.iter().map(|x| x + 1e9).collect();
        let far = Trend::of(&far, &y).unwrap();
        assert!((far.slope - near.slope).abs() < 1e-7, "{far:?}");
    }

    #[test]
    fn what_has_no_line_is_none() {
        for (x, y) in [
            (&[][..], &[][..]),
            (&[1.0], &[1.0]),
            (&[1.0, f64::NEG_INFINITY], &[1.0, 2.0]),
            (&[3.0; 3], &[1.0, 2.0, 3.0]),
            (&[-f64::MAX, f64::MAX], &[1.0, 2.0]),
            (&[1.0, 2.0], &[f64::NAN, 2.0]),
        ] {
            assert_eq!(Trend::of(x, y), None);
        }
    }
}
