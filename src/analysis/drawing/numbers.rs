//! Numbers on axes.

/// Even steps from the first of 1, 2 and 5 times a power of ten that makes no more than `most` of them between two ends, which
/// may be among them. No step is smaller than `least`.
pub(super) fn ticks(low: f64, high: f64, most: usize, least: f64) -> Vec<f64> {
    let range = high - low;
    if !range.is_finite() || range < 0.0 {
        return Vec::new();
    }
    let steps = |power: i32| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power));
    let lowest = range.log10().floor().max(-300.0) as i32 - 2;
    let count = |step: &f64| (high / step).floor() - (low / step).ceil() + 1.0;
    let fits = |step: &f64| *step >= least && count(step) <= most as f64;
    let Some(step) = (lowest..lowest + 8).chain([0]).flat_map(steps).find(fits) else { return vec![low] };
    let first = (low / step).ceil();
    // Dividing by a power of ten is exact where multiplying by 0.1 is not.
    (0..count(&step) as usize).map(|i| ((first + i as f64) * step * 1e9).round() / 1e9).collect()
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_between_the_ends() {
        assert_eq!(ticks(0.0, 39.0, 5, 1.0), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(ticks(0.0, 2.0, 5, 1.0), [0.0, 1.0, 2.0]);
        assert_eq!(ticks(0.0, 0.0, 5, 1.0), [0.0]);
        assert_eq!(ticks(0.12, 0.47, 5, 0.0), [0.2, 0.3, 0.4]);
        assert_eq!(ticks(118_681.0, 274_432.0, 6, 1.0), [150_000.0, 200_000.0, 250_000.0]);
        assert_eq!(ticks(-0.3, 0.3, 4, 0.0), [-0.2, 0.0, 0.2]);
        assert_eq!(ticks(7.25, 7.25, 4, 0.0), [7.25]);
        assert!(ticks(f64::NAN, 1.0, 4, 0.0).is_empty());
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
