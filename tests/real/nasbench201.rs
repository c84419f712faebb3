//! NAS-Bench-201's own table: every arch string, and the published parameter counts.

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use naswot::nasbench201::{COUNT, Cell, Skeleton};

/// The benchmark's 15,625 arch strings are the space, print back identically, and have the parameters that
/// NAS-Bench-Suite-Zero published for 4,723 of them, in millions to six decimals.
pub(crate) fn parses_and_counts_every_cell(data: &Path) -> Result<(), Box<dyn Error>> {
    let mut cells = HashSet::new();
    for row in rows(&data.join("nb201_accuracy_15625.csv.gz"))? {
        let arch = column(&row, 1)?;
        let cell: Cell = arch.parse()?;
        if cell.to_string() != arch {
            return Err(format!("{arch} is printed as {cell}").into());
        }
        cells.insert(cell);
    }
    if cells.len() != COUNT {
        return Err(format!("{} different cells, not {COUNT}", cells.len()).into());
    }
    for row in rows(&data.join("nb201_published_nwot_4723.csv.gz"))? {
        let cell: Cell = column(&row, 1)?.parse()?;
        let published: f64 = column(&row, 3)?.parse()?;
        let ours = cell.network(&Skeleton::default())?.parameters();
        if (published * 1e6).round() as u64 != ours {
            return Err(format!("{cell} has {ours} parameters, published are {published} million").into());
        }
    }
    Ok(())
}

/// The rows under the header.
pub(crate) fn rows(path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let lines = BufReader::new(GzDecoder::new(File::open(path)?)).lines();
    Ok(lines.skip(1).collect::<Result<_, _>>()?)
}

pub(crate) fn column(row: &str, index: usize) -> Result<&str, String> {
    row.split(',').nth(index).ok_or_else(|| format!("no column {index} in `{row}`"))
}
