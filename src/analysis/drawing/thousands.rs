//! Thousands, apart. The command has this file, too: it is no part of the library's interface.

/// The digits of a whole number, its thousands apart.
pub(super) fn apart(digits: &str) -> String {
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
