//! What each score is worth, on the 300 cells of each space on which PyTorch's were measured: the first 32 training images
//! of CIFAR-10, stem 16, each space's own initial weights.
//!
//! `samples/` holds the cells' positions in the tables of accuracies, as NumPy draws them: `rng(0).choice(rows, 300)`.

use std::error::Error;
use std::path::Path;

use naswot::analysis::{Correlation, kendall_tau, log_rank_sums, stratified_tau};
use naswot::{Dataset, Network, Score, Scorer, Scores, nasbench101, nasbench201};

use crate::nasbench201::{column, rows};

/// Kendall's tau and Spearman's rho of a score, and tau among cells of equally many convolutions, where there is one.
type Worth = (&'static str, f64, Option<f64>, Option<f64>);

/// PyTorch's, with weights of its own.
const NASBENCH201: [Worth; 9] = [
    ("nwot", 0.567, Some(0.758), Some(0.323)),
    ("swap", 0.661, Some(0.838), None),
    ("convs", 0.550, None, None),
    ("nwot+parameters", 0.608, None, None),
    ("meco", 0.691, Some(0.872), Some(0.578)),
    ("expressivity", 0.566, None, Some(0.457)),
    ("progressivity", 0.335, None, None),
    ("nwot+meco", 0.707, None, None),
    ("swap+meco", 0.755, None, None),
];
const NASBENCH101: [Worth; 9] = [
    ("nwot", 0.282, Some(0.405), Some(0.004)),
    ("swap", 0.361, Some(0.506), None),
    ("convs", 0.495, None, None),
    ("nwot+parameters", 0.324, None, None),
    ("meco", 0.461, Some(0.641), Some(0.291)),
    ("expressivity", 0.423, None, None),
    ("progressivity", 0.221, None, None),
    ("nwot+meco", 0.536, None, None),
    ("swap+meco", 0.535, None, None),
];
/// The distance that other weights may move a figure: some 0.01 between seeds.
const TOLERANCE: f64 = 0.04;
/// That of scores of ten marks' entropies: seeds 0 to 3 have a tau of 0.42 to 0.49 (expressivity) and of 0.15 to 0.25
/// (progressivity) in NAS-Bench-101.
const ENTROPIES: f64 = 0.08;
/// Digits that figures without weights have.
const EXACT: f64 = 5e-4;

pub(crate) fn scores_are_worth_what_pytorch_s_are(data: &Path) -> Result<(), Box<dyn Error>> {
    let (networks, accuracies) = sample(
        &data.join("nb201_accuracy_15625.csv.gz"),
        include_str!("samples/nasbench201.txt"),
        3,
        |row| Ok(column(row, 1)?.parse::<nasbench201::Cell>()?.network(&nasbench201::Skeleton::default())?),
    )?;
    check("NAS-Bench-201", data, networks, &accuracies, &NASBENCH201)?;
    let (networks, accuracies) = sample(
        &data.join("nb101_accuracy_15001.csv.gz"),
        include_str!("samples/nasbench101.txt"),
        3,
        |row| {
            let cell: nasbench101::Cell = format!("{}/{}", column(row, 1)?, column(row, 2)?).parse()?;
            Ok(cell.network(&nasbench101::Skeleton::default())?)
        },
    )?;
    check("NAS-Bench-101", data, networks, &accuracies, &NASBENCH101)
}

type Made<T> = Result<T, Box<dyn Error>>;

/// The networks of a sample of a table's rows, and their accuracies in one of its columns.
fn sample(
    table: &Path,
    positions: &str,
    accuracy: usize,
    network: impl Fn(&str) -> Made<Network>,
) -> Made<(Vec<Network>, Vec<f64>)> {
    let rows = rows(table)?;
    let row = |position: &str| -> Made<(Network, f64)> {
        let row = &rows[position.parse::<usize>()?];
        Ok((network(row)?, column(row, accuracy)?.parse()?))
    };
    let sample: Vec<(Network, f64)> = positions.split_whitespace().map(row).collect::<Made<_>>()?;
    assert_eq!(sample.len(), 300);
    Ok(sample.into_iter().unzip())
}

fn check(space: &str, data: &Path, networks: Vec<Network>, accuracies: &[f64], worth: &[Worth]) -> Made<()> {
    let batch = Dataset::cifar10(data.join("cifar10_train_512.bin"))?.first(32)?;
    let scorer = Scorer::builder(batch).scores(Scores::all()).build()?;
    let scores: Vec<Score> = scorer.score_all(&networks).into_iter().collect::<naswot::Result<_>>()?;
    let convolutions: Vec<u64> = scores.iter().map(|score| score.convolutions).collect();
    let of = |name: &str| -> Vec<Option<f64>> {
        let of = |score: &Score| match name {
            "convs" => Some(score.convolutions as f64),
            "parameters" => Some(score.parameters as f64),
            name => score.get(name),
        };
        scores.iter().map(of).collect()
    };
    for &(name, tau, spearman, within) in worth {
        let values = match name.split_once('+') {
            Some((a, b)) => log_rank_sums(&[&of(a), &of(b)])?,
            None => of(name),
        };
        let values: Vec<f64> = values.into_iter().collect::<Option<_>>().ok_or("a score is missing")?;
        let ours = Correlation::of(&values, accuracies)?;
        assert_eq!(ours.kendall_tau, kendall_tau(&values, accuracies)?);
        let among_equals = stratified_tau(&values, accuracies, &convolutions)?;
        println!(
            "{space}, {name}: tau {:.3}, rho {:.3}, {} among equally many convolutions",
            ours.kendall_tau.unwrap_or(f64::NAN),
            ours.spearman.unwrap_or(f64::NAN),
            among_equals.map_or("none".to_owned(), |tau| format!("{tau:.3}"))
        );
        let tolerance = match name {
            "convs" => EXACT,
            "expressivity" | "progressivity" => ENTROPIES,
            _ => TOLERANCE,
        };
        for (what, found, expected) in [
            ("tau", ours.kendall_tau, Some(tau)),
            ("rho", ours.spearman, spearman),
            ("tau among equals", among_equals, within),
        ] {
            if let Some(expected) = expected {
                let found = found.ok_or("no correlation")?;
                let close = (found - expected).abs() <= tolerance;
                assert!(close, "{space}, {name}: {what} is {found:.4}, PyTorch's {expected}");
            }
        }
    }
    Ok(())
}
