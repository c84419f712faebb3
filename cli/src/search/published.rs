//! Figures to compare with: Mellor et al. (2021), table 2, random search in NAS-Bench-201 by the score, 500 runs on a
//! GTX 1080 Ti; test accuracy in percent.

use serde::Serialize;

use crate::column_words::{is_loss, words};

/// A published figure.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Published {
    pub(super) mean: f64,
    pub(super) sd: f64,
    pub(super) seconds: f64,
}

/// A row of the table.
struct PublishedRow {
    samples: usize,
    seconds: f64,
    /// Mean and deviation on CIFAR-10, CIFAR-100 and ImageNet16-120.
    accuracies: [(f64, f64); 3],
}

const NASBENCH201: [PublishedRow; 3] = [
    PublishedRow { samples: 10, seconds: 3.05, accuracies: [(92.44, 1.13), (68.62, 2.04), (41.31, 4.11)] },
    PublishedRow { samples: 100, seconds: 30.01, accuracies: [(92.81, 0.99), (69.48, 1.70), (43.10, 3.16)] },
    PublishedRow {
        samples: 1000,
        seconds: 306.19,
        accuracies: [(92.96, 0.81), (69.98, 1.22), (44.44, 2.10)],
    },
];

/// The figure for so many samples and the accuracy in a column, by the data set and the split that it names.
pub(super) fn nasbench201(samples: usize, column: &str) -> Option<Published> {
    let words = words(column);
    if is_loss(column) || !words.iter().any(|word| word == "test") {
        return None;
    }
    // A data set's name may be parted: `CIFAR-10`, `ImageNet16-120`.
    let dataset = match &words.concat() {
        name if name.contains("cifar100") => 1,
        name if name.contains("cifar10") => 0,
        name if name.contains("imagenet16") => 2,
        _ => return None,
    };
    let row = NASBENCH201.iter().find(|row| row.samples == samples)?;
    let (mean, sd) = row.accuracies[dataset];
    Some(Published { mean, sd, seconds: row.seconds })
}
