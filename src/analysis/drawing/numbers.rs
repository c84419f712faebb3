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

/// As [`ticks`] for a logarithmic axis of positive numbers: 1, 2 and 5 times powers of ten, or powers of ten alone where those
/// are too many.
pub(super) fn logarithmic_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let powers = (low.log10().floor() as i32..=high.log10().ceil() as i32).map(|power| 10_f64.powi(power));
    let all: Vec<f64> = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * power)).collect();
    let inside = |digits: usize| -> Vec<f64> {
        let chosen = all.iter().copied().enumerate().filter(|(i, _)| i % 3 == 0 || digits > 1);
        chosen.map(|(_, value)| value).filter(|value| (low..=high).contains(value)).collect()
    };
    let found = inside(3);
    match found.len() {
        0..2 => ticks(low, high, most, 0.0),
        count if count <= most => found,
        _ => inside(1),
    }
}

/// Decimals that numbers in even steps have.
pub(super) fn decimals(steps: &[f64]) -> usize {
    let step = steps.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(f64::INFINITY, f64::min);
    if step.is_finite() && step > 0.0 { (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize } else { 2 }
}

/// A number with so many decimals; from five digits on with its thousands apart.
pub(super) fn label(value: f64, decimals: usize) -> String {
    if decimals == 0 && (1e4..1e15).contains(&value.abs()) {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", grouped(value.abs().round() as u64));
    }
    format!("{:.decimals$}", value + 0.0)
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    thousands(&number.to_string())
}

/// The digits of a whole number, its thousands apart.
///
/// ```
/// assert_eq!(naswot::analysis::drawing::thousands("1234567"), "1,234,567");
/// ```
pub fn thousands(digits: &str) -> String {
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
    fn logarithmic_ticks_are_round() {
        assert_eq!(logarithmic_ticks(30_000.0, 800_000.0, 6), [5e4, 1e5, 2e5, 5e5]);
        assert_eq!(logarithmic_ticks(1.0, 1e6, 8), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
        assert_eq!(logarithmic_ticks(6.0, 9.0, 6), [6.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn numbers_have_the_decimals_of_their_steps() {
        let named = |steps: &[f64]| steps.iter().map(|&v| label(v, decimals(steps))).collect::<Vec<_>>();
        assert_eq!(named(&[0.0, 0.05, 0.1]), ["0.00", "0.05", "0.10"]);
        assert_eq!(named(&[-0.2, 0.0]), ["-0.2", "0.0"]);
        assert_eq!(named(&[380.0, 400.0]), ["380", "400"]);
        assert_eq!(named(&[100_000.0, 200_000.0]), ["100,000", "200,000"]);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
