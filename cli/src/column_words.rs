//! The words of a column's name, by which an accuracy is told from a loss.

/// Words for an accuracy; `top` and `1` side by side are another.
const ACCURACY: [&str; 6] = ["acc", "acc1", "accs", "accuracies", "accuracy", "top1"];
/// Words for what is the better the lower it is.
const LOSS: [&str; 10] = ["err", "error", "errors", "errs", "loss", "losses", "mae", "mse", "nll", "rmse"];
/// Words for how far accuracies of one network are apart, which is none.
const SPREAD: [&str; 7] = ["deviation", "sd", "sem", "std", "stddev", "var", "variance"];

/// The words of a name, in lower case: parted by all that is neither letter nor digit, and by changes of case, as in
/// `testAcc` and `CIFARAcc`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (place, &letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| letters[before]);
        let behind = letters.get(place + 1);
        let first = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || behind.is_some_and(|next| next.is_lowercase())
            });
        if first || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_alphanumeric(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a name is that of a loss or an error.
pub(crate) fn is_loss(name: &str) -> bool {
    words(name).iter().any(|word| LOSS.contains(&word.as_str()))
}

/// Whether a name is that of an accuracy.
pub(crate) fn is_accuracy(name: &str) -> bool {
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let accuracy = has(&ACCURACY) || words.windows(2).any(|pair| pair == ["top", "1"]);
    accuracy && !has(&LOSS) && !has(&SPREAD)
}

#[cfg(test)]
mod tests {
    use super::{is_accuracy, is_loss, words};

    #[test]
    fn words_are_parted_by_marks_and_case() {
        for (name, parts) in [
            ("cifar10_test-acc.mean", "cifar10 test acc mean"),
            ("testAcc", "test acc"),
            ("CIFARAccuracy", "cifar accuracy"),
            ("Top-1 Accuracy", "top 1 accuracy"),
            ("TOP1", "top1"),
            ("top1Acc", "top1 acc"),
            ("_", ""),
        ] {
            assert_eq!(words(name).join(" "), parts, "{name}");
        }
    }

    #[test]
    fn accuracies_are_named_by_words_and_losses_are_none() {
        for name in ["acc", "test_acc", "Accuracy", "top1", "Top-1", "acc@1", "valAcc", "cifar10.accuracy"] {
            assert!(is_accuracy(name), "{name}");
        }
        for name in ["test_loss", "latest_epoch", "accelerator", "top5", "acc_error", "topology1", "acc_std"]
        {
            assert!(!is_accuracy(name), "{name}");
        }
        for (name, loss) in [("test_loss", true), ("top1-err", true), ("lossless", false), ("errands", false)]
        {
            assert_eq!(is_loss(name), loss, "{name}");
        }
    }
}
