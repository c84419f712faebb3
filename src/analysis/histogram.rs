//! Histograms: counts of values in bins of one width.

/// Most bins: more than a plot has room for.
const MOST_BINS: usize = 60;

/// A histogram: counts of values in bins of one width, side by side.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Histogram {
    /// Where the first bin begins: the smallest value.
    pub start: f64,
    /// Width of every bin; 0 where all values are equal.
    pub width: f64,
    /// Values in each bin. One that is on an edge is in the bin above it, the largest in the last bin.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// Bins for the values that are finite, from the smallest to the largest. Their width is near twice the
    /// interquartile range over the cube root of their number (Freedman and Diaconis, 1981); there are at most 60.
    /// `None` where no value is finite.
    ///
    /// ```
    /// use naswot::analysis::Histogram;
    ///
    /// let values: Vec<f64> = (0..64).map(f64::from).chain([f64::NEG_INFINITY]).collect();
    /// let histogram = Histogram::of(&values).unwrap();
    /// assert_eq!((histogram.start, histogram.counts), (0.0, vec![16; 4]));
    /// assert_eq!(Histogram::of(&[2.0, 2.0]).unwrap().counts, [2]);
    /// assert_eq!(Histogram::of(&[f64::NEG_INFINITY]), None);
    /// ```
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&start, &end) = (sorted.first()?, sorted.last()?);
        let range = end - start;
        if range <= 0.0 || !range.is_finite() {
            return Some(Histogram { start, width: 0.0, counts: vec![sorted.len()] });
        }
        let quartile = |share: usize| sorted[(sorted.len() - 1) * share / 4];
        let wished = 2.0 * (quartile(3) - quartile(1)) / (sorted.len() as f64).cbrt();
        // Where half of the values are equal there is no such width: a bin for each doubling of their number.
        let bins = if wished > 0.0 { range / wished } else { (sorted.len() as f64).log2() + 1.0 };
        let bins = (bins.ceil() as usize).clamp(1, MOST_BINS);
        let mut histogram = Histogram { start, width: range / bins as f64, counts: vec![0; bins] };
        for value in sorted {
            let bin = histogram.bin(value);
            histogram.counts[bin] += 1;
        }
        Some(histogram)
    }

    /// The bin that a value is in, from 0; of one that is outside, the nearest.
    ///
    /// ```
    /// use naswot::analysis::Histogram;
    ///
    /// let values: Vec<f64> = (0..64).map(f64::from).collect();
    /// assert_eq!(Histogram::of(&values).unwrap().bin(20.0), 1);
    /// ```
    pub fn bin(&self, value: f64) -> usize {
        // Conversion ends at 0, which also is NaN's: of 0 / 0, where all values are equal.
        (((value - self.start) / self.width) as usize).min(self.counts.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_in_one_bin_wherever_they_lie() {
        let lists: [&[f64]; 6] = [
            &[1.0],
            &[1.0, f64::NAN, 3.0],
            &[0.0, 0.0, 0.0, 0.0, 1.0],
            &[1e300, -1e300, 5.0, 6.0],
            &[f64::MAX, -f64::MAX],
            &[1e9, 1e9 + 1e-6, 1e9 + 2e-6],
        ];
        for values in lists {
            let histogram = Histogram::of(values).unwrap();
            let finite = values.iter().filter(|value| value.is_finite()).count();
            assert_eq!(histogram.counts.iter().sum::<usize>(), finite, "{values:?}");
            assert!(histogram.counts.len() <= MOST_BINS && histogram.width >= 0.0);
        }
        // One far value must not ask for millions of bins.
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values.push(1e12);
        assert_eq!(Histogram::of(&values).unwrap().counts.len(), MOST_BINS);
    }

    #[test]
    fn the_width_is_that_of_freedman_and_diaconis() {
        let values: Vec<f64> = (0..=1000).map(f64::from).collect();
        let histogram = Histogram::of(&values).unwrap();
        // 2 * 500 / 1001^(1/3) = 99.97: eleven bins over the range.
        assert_eq!((histogram.counts.len(), histogram.width), (11, 1000.0 / 11.0));
    }
}
