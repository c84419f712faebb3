//! Mean and standard deviation of a sample.

/// Mean and standard deviation of a sample.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// The arithmetic mean.
    pub mean: f64,
    /// The standard deviation of a sample: squares are divided by n - 1. None of a single value, and where a value is
    /// infinite.
    pub deviation: Option<f64>,
}

impl Summary {
    /// The summary of some values; none where there are none.
    ///
    /// ```
    /// use naswot::analysis::Summary;
    ///
    /// let values = [1.0, 2.0, 3.0];
    /// let summary = Summary::of(values.iter().copied()).unwrap();
    /// assert_eq!((summary.mean, summary.deviation), (2.0, Some(1.0)));
    /// assert_eq!(Summary::of([5.0].into_iter()).unwrap().deviation, None);
    /// ```
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let n = values.clone().count() as f64;
        if n == 0.0 {
            return None;
        }
        let mean = values.clone().sum::<f64>() / n;
        // About the mean, so that nothing cancels.
        let squares: f64 = values.map(|value| (value - mean) * (value - mean)).sum();
        Some(Summary { mean, deviation: (n > 1.0 && mean.is_finite()).then(|| (squares / (n - 1.0)).sqrt()) })
    }
}
