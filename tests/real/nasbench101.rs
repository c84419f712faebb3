//! NAS-Bench-101 against rows of the benchmark itself.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use naswot::nasbench101::{Cell, Skeleton};

/// In every row, hash and parameters follow from adjacency and operations, and the adjacency is that of the
/// class's representative: the exact test of pruning, hash, channels and enumeration order.
pub(crate) fn hashes_and_parameters_match(data: &Path) -> Result<(), Box<dyn Error>> {
    let file = File::open(data.join("nb101_accuracy_15001.csv.gz"))?;
    let mut lines = BufReader::new(GzDecoder::new(file)).lines();
    let header = lines.next().ok_or("the file is empty")??;
    assert_eq!(header, "hash,adjacency,ops,cifar10_valid_accuracy,stem128_parameters");
    let benchmark = Skeleton { stem: 128, ..Skeleton::default() };
    let mut rows = 0;
    for line in lines {
        let line = line?;
        let [hash, adjacency, ops, _, parameters] = line.split(',').collect::<Vec<_>>()[..] else {
            return Err(format!("not five columns: {line}").into());
        };
        let cell: Cell = format!("{adjacency}/{ops}").parse()?;
        assert_eq!(cell.hash(), hash, "{cell}");
        assert_eq!(cell.representative(), cell);
        assert_eq!(cell.network(&benchmark)?.parameters(), parameters.parse::<u64>()?, "{cell}");
        rows += 1;
    }
    assert_eq!(rows, 15_001);
    Ok(())
}
