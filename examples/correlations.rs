//! How well scores rank the networks of NAS-Bench-101 and NAS-Bench-201 by their accuracy on CIFAR-10.
//!
//!     cargo run --release --example correlations -- DATA [NETWORKS]
//!
//! DATA is a folder with `cifar10_train_512.bin` (CIFAR-10's binary records) and the tables
//! `nb101_accuracy_15001.csv.gz`, `nb201_accuracy_15625.csv.gz` and `nb201_published_nwot_4723.csv.gz`. NETWORKS
//! cells of each space (500 when not given) are drawn without replacement, the same ones every time, and scored
//! in f32 on the first 32 images with the weights of seed 0.
//!
//! The figures to compare with: Mellor et al. (2021) report Kendall's tau of 0.574 for NAS-Bench-201 and 0.285
//! for NAS-Bench-101 (1000 networks each, batches of 128).

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use naswot::analysis::Correlation;
use naswot::nasbench101::Skeleton;
use naswot::{Dataset, Network, Precision, Scorer, nasbench101, nasbench201};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().ok_or("usage: correlations DATA [NETWORKS]")?;
    let count = arguments.next().map_or(Ok(500), |count| count.parse())?;
    let start = std::time::Instant::now();
    let figures = figures(Path::new(&data), count)?;
    println!("{:<48} {:>8} {:>8} {:>8}  networks", "", "tau", "Spearman", "Pearson");
    for (what, correlation) in [
        ("NAS-Bench-101, score and validation accuracy", figures.nasbench101),
        ("NAS-Bench-201, score and test accuracy", figures.nasbench201),
        ("NAS-Bench-201, score and published score", figures.published),
    ] {
        let number = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.3}"));
        println!(
            "{what:<48} {:>8} {:>8} {:>8}  {} ({} of them -inf)",
            number(correlation.kendall_tau),
            number(correlation.spearman),
            number(correlation.pearson),
            correlation.networks,
            correlation.infinite
        );
    }
    println!("{} networks in {:.1} s", 2 * count, start.elapsed().as_secs_f64());
    Ok(())
}

/// How scores go with what the benchmarks say.
pub struct Figures {
    /// With the validation accuracy after 108 epochs.
    pub nasbench101: Correlation,
    /// With the test accuracy after 200 epochs.
    pub nasbench201: Correlation,
    /// With the scores that NAS-Bench-Suite-Zero published (batches of 64), where it did.
    pub published: Correlation,
}

/// Scores so many cells of each space.
pub fn figures(data: &Path, count: usize) -> Result<Figures, Box<dyn Error>> {
    let batch = Dataset::cifar10(data.join("cifar10_train_512.bin"))?.first(32)?;
    let scorer = Scorer::builder(batch).precision(Precision::F32).build()?;

    let rows = draw(rows(&data.join("nb101_accuracy_15001.csv.gz"))?, count);
    let mut networks = Vec::new();
    for row in &rows {
        let cell: nasbench101::Cell = format!("{}/{}", row[1], row[2]).parse()?;
        networks.push(cell.network(&Skeleton::default())?);
    }
    let nasbench101 = Correlation::of(&scores(&scorer, networks)?, &column(&rows, 3)?)?;

    let rows = draw(self::rows(&data.join("nb201_accuracy_15625.csv.gz"))?, count);
    let mut networks = Vec::new();
    for row in &rows {
        networks.push(row[1].parse::<nasbench201::Cell>()?.network(&nasbench201::Skeleton::default())?);
    }
    let ours = scores(&scorer, networks)?;
    let nasbench201 = Correlation::of(&ours, &column(&rows, 3)?)?;

    let table = self::rows(&data.join("nb201_published_nwot_4723.csv.gz"))?;
    let known: HashMap<&str, f64> = table
        .iter()
        .map(|row| Ok((row[1].as_str(), row[2].parse()?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let both = rows.iter().zip(&ours).filter_map(|(row, &score)| Some((score, *known.get(row[1].as_str())?)));
    let (ours, theirs): (Vec<f64>, Vec<f64>) = both.unzip();
    Ok(Figures { nasbench101, nasbench201, published: Correlation::of(&ours, &theirs)? })
}

/// The rows of a compressed CSV file without quotes, its header left out.
fn rows(path: &Path) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let lines = BufReader::new(GzDecoder::new(File::open(path)?)).lines();
    let rows = lines.skip(1).map(|line| Ok(line?.split(',').map(str::to_owned).collect()));
    rows.collect()
}

/// Some of the rows, drawn without replacement: the first ones of a shuffle that is always the same, so that a
/// smaller draw is the beginning of a larger one.
fn draw(mut rows: Vec<Vec<String>>, count: usize) -> Vec<Vec<String>> {
    let mut state = 0u64;
    let count = count.min(rows.len());
    for i in 0..count {
        // The generator of Knuth's MMIX; its high bits are good enough to draw rows.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let left = (rows.len() - i) as u64;
        rows.swap(i, i + ((state >> 33) % left) as usize);
    }
    rows.truncate(count);
    rows
}

fn column(rows: &[Vec<String>], index: usize) -> Result<Vec<f64>, std::num::ParseFloatError> {
    rows.iter().map(|row| row[index].parse()).collect()
}

fn scores(scorer: &Scorer, networks: Vec<Network>) -> naswot::Result<Vec<f64>> {
    scorer.stream(networks).map(|score| Ok(score?.log_det)).collect()
}
