//! Tables that people bring, packed or not, benchmarks' own files, and what sweeps print.

use super::cells::networks;
#[cfg(feature = "parquet")]
use super::rows::{accuracies, rows};
use super::scratch::with_file;
use crate::accuracy_table::{self, Benchmark};
use crate::plot;
use crate::table::{Record, Table};

/// A table in any format, read in all its columns.
pub(super) fn table(input: &[u8]) -> bool {
    with_file("table.csv", input, |path| {
        let Ok(mut table) = Table::open(path) else { return false };
        let columns = table.columns().to_vec();
        if !matches!(table.first(), Ok(Some(_))) {
            return false;
        }
        while let Ok(Some(record)) = table.next_record() {
            let Record { texts, .. } = &record;
            assert_eq!(texts.len(), columns.len());
            for column in 0..columns.len() {
                let _ = table.number(&record, column);
            }
        }
        true
    })
}

/// A packed text, as each reader of text takes it.
pub(super) fn packed(input: &[u8]) -> bool {
    table(input) | networks(input)
}

#[cfg(feature = "parquet")]
pub(super) fn parquet(input: &[u8]) -> bool {
    table(input) | rows(input) | accuracies(input) | networks(input)
}

/// NAS-Bench-101's file.
pub(super) fn nasbench101(input: &[u8]) -> bool {
    with_file("file.tfrecord", input, |path| accuracy_table::read(Benchmark::NasBench101, path))
}

/// NAS-Bench-101's file with one record, whose checksums are right.
pub(super) fn nasbench101_record(input: &[u8]) -> bool {
    nasbench101(&accuracy_table::record(input))
}

/// A file of NAS-Bench-201 or NATS-Bench.
pub(super) fn nasbench201(input: &[u8]) -> bool {
    with_file("file.pickle", input, |path| accuracy_table::read(Benchmark::NasBench201, path))
}

/// What `naswot sweep --json` prints, as `naswot plot matrix` reads it.
pub(super) fn sweep(input: &[u8]) -> bool {
    with_file("sweep.json", input, |path| plot::sweep_matrix(path, Default::default()).is_ok())
}
