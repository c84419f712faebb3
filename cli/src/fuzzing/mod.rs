//! The readers of files, for fuzzing: functions that take any bytes and have to return, with a value or with an error that a
//! user would see. What breaks is a panic, a run of over 10 s, or over 1 GB of memory; some also assert what holds of every
//! value that was read. The one list of them is [`TARGETS`]: the suite's own mutator (`tests/fuzz.rs`) and cargo-fuzz (the
//! repository's `fuzz/`) run what stands there.

mod cells;
mod graphs;
mod images;
mod numbers;
mod rows;
mod scratch;
mod tables;

/// A reader under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which the folder of its seeds has as well.
    pub name: &'static str,
    /// Has it read an input; whether that is a file of its kind.
    pub read: fn(&[u8]) -> bool,
}

/// Every reader.
pub const TARGETS: &[Target] = &[
    target("accuracies", rows::accuracies),
    target("arch", cells::arch),
    target("bzip2", tables::nasbench201),
    target("cache", numbers::cache),
    target("cells", cells::lines),
    target("checkpoint", numbers::checkpoint),
    target("cifar10", images::cifar10),
    target("cifar100", images::cifar100),
    target("graph", graphs::graph),
    target("gzip", tables::packed),
    #[cfg(feature = "images")]
    target("image", images::folder),
    target("imagenet16", images::imagenet16),
    target("kernel", numbers::kernel),
    target("manifest", rows::manifest),
    target("nasbench101_file", tables::nasbench101),
    target("nasbench101_record", tables::nasbench101_record),
    target("nasbench201_pickle", tables::nasbench201),
    target("networks", cells::networks),
    target("npy", numbers::array),
    #[cfg(feature = "parquet")]
    target("parquet", tables::parquet),
    target("pickle", numbers::pickle),
    target("report", rows::report),
    target("resume_csv", rows::resume_csv),
    target("resume_jsonl", rows::resume_jsonl),
    target("rows", rows::rows),
    target("sweep", tables::sweep),
    target("table", tables::table),
    target("zstd", tables::packed),
];

const fn target(name: &'static str, read: fn(&[u8]) -> bool) -> Target {
    Target { name, read }
}

/// Has the target of a name read an input; whether that is a file of its kind.
///
/// # Panics
/// Where there is no such target, and where the reader is at fault.
pub fn read(name: &str, input: &[u8]) -> bool {
    let target = TARGETS.iter().find(|target| target.name == name);
    let Some(target) = target else { unreachable!("{name} is no target") };
    (target.read)(input)
}
