//! Random search in NAS-Bench-201 by published scores against the paper's table.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use naswot::analysis::{Candidates, Searcher};
use naswot::{Architecture, Space};

use super::nasbench201::{column, rows};

/// 500 runs among the 4,723 cells whose score NAS-Bench-Suite-Zero published. The paper, over all cells and with scores
/// of its own, has 92.44, 92.81 and 92.96 percent on the test set of CIFAR-10; single runs deviate by 1.
pub(crate) fn random_search_finds_what_the_paper_says(data: &Path) -> Result<(), Box<dyn Error>> {
    let mut accuracies: HashMap<Architecture, f64> = HashMap::new();
    for row in rows(&data.join("nb201_accuracy_15625.csv.gz"))? {
        accuracies.insert(Space::NasBench201.parse_arch(column(&row, 1)?)?, column(&row, 3)?.parse()?);
    }
    let mut scores: HashMap<Architecture, f64> = HashMap::new();
    for row in rows(&data.join("nb201_published_nwot_4723.csv.gz"))? {
        let score: f64 = column(&row, 2)?.parse()?;
        // How the file writes minus infinity.
        let score = if score < -1e7 { f64::NEG_INFINITY } else { score };
        scores.insert(Space::NasBench201.parse_arch(column(&row, 1)?)?, score);
    }
    let among = Space::NasBench201.all()?.filter(|cell| scores.contains_key(cell));
    let candidates = Candidates::of(among)?;
    let score = |cells: &[Architecture]| Ok(cells.iter().map(|cell| scores[cell]).collect());
    for (samples, published) in [(10, 92.44), (100, 92.81), (1000, 92.96)] {
        let mut sum = 0.0;
        for run in 0..500 {
            sum += accuracies[&Searcher::new(&candidates, samples).run(run).random(score)?.best];
        }
        let mean: f64 = sum / 500.0;
        println!("{samples} samples: {mean:.2}, published {published}");
        assert!((mean - published).abs() < 0.6, "{samples} samples: {mean}, published {published}");
    }
    Ok(())
}
