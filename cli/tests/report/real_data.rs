//! Pages of cells of the benchmarks with the accuracies that they have there.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use libtest_mimic::Trial;
use naswot::Space;
use serde_json::{Value, json};

use super::common::browser::Browser;
use super::common::harness::{Outcome, Requirement, data, needs_all};
use super::files::Folder;
use super::run::{pictures, text};

const NETWORKS: usize = 60;

pub(crate) fn trial(name: &str, test: fn() -> Outcome) -> Trial {
    needs_all(&[Requirement::Data, Requirement::Browser], name, test)
}

/// Opens a page of cells of a file, joined with a table, and compares it with `naswot correlate`.
fn page(folder: &Folder, table: &Path, column: &str, name: &str) -> Outcome {
    let join = format!("--accuracy {} --column {column} --bootstrap 100", table.display());
    fs::remove_dir(folder.path("k"))?;
    folder.done("score cells.jsonl -o scores.csv --kernels k --backend cpu --stem 4 --cells 1 -q")?;
    folder.done(&format!("report scores.csv --kernels k {join} -o page.html"))?;
    let expected: Value =
        serde_json::from_str(&folder.done(&format!("correlate scores.csv {join} --json"))?)?;
    assert_eq!(expected["networks"], json!(NETWORKS));
    let mut browser = Browser::start()?;
    browser.open(&folder.address("page.html"), 1400, 900, false)?;
    browser.screenshot(&pictures()?.join(format!("{name}.png")), true)?;
    let number = |value: &Value| format!("{:.3}", value.as_f64().unwrap_or(f64::NAN)).replace('-', "−");
    let tiles = text(&mut browser, ".tiles")?;
    for of in [&expected, &expected["parameters"]] {
        let interval = &of["intervals"]["kendall_tau"];
        let [tau, low, high] = [&of["kendall_tau"], &interval["low"], &interval["high"]].map(number);
        assert!(tiles.contains(&format!("{tau}\n[{low}, {high}]")), "{tiles}");
    }
    let rank = format!("number {} of {NETWORKS} by accuracy", expected["top"]["best_rank"]);
    assert!(text(&mut browser, "#tops p")?.contains(&rank));
    let (requests, complaints) = browser.events()?;
    assert_eq!((requests.len(), complaints.len()), (1, 0), "{requests:?} {complaints:?}");
    Ok(())
}

pub(crate) fn nasbench201() -> Outcome {
    let folder = Folder::new()?;
    let cells = folder.done(&format!("sample --space nasbench201 -n {NETWORKS} --seed 5"))?;
    folder.write("cells.jsonl", &cells)?;
    page(&folder, &data()?.join("nb201_accuracy_15625.csv.gz"), "cifar10_test", "nasbench201")
}

pub(crate) fn nasbench101() -> Outcome {
    let folder = Folder::new()?;
    let table = data()?.join("nb101_accuracy_15001.csv.gz");
    let mut text = String::new();
    GzDecoder::new(File::open(&table)?).read_to_string(&mut text)?;
    let mut cells = String::new();
    for line in text.lines().skip(1).step_by(200).take(NETWORKS) {
        let fields: Vec<&str> = line.split(',').collect();
        cells += &Space::NasBench101.parse_arch(&format!("{}/{}", fields[1], fields[2]))?.to_json();
        cells.push('\n');
    }
    folder.write("cells.jsonl", &cells)?;
    page(&folder, &table, "cifar10_valid_accuracy", "nasbench101")
}
