//! Rows of `naswot trace`: a training, not networks of a space.

use naswot::{Architecture, Space};
use serde_json::json;

use super::common::browser::Browser;
use super::common::harness::Outcome;
use super::files::{Folder, Row, csv, kernel};
use super::run::{pictures, text};

/// Epochs in the order of the rows; the third has failed, and the fifth is of score minus infinity.
const EPOCHS: [u32; 7] = [0, 1, 2, 10, 4, 8, 6];

/// Rows of a trace: checkpoints that have been scored, and their epochs.
fn rows(folder: &Folder, cell: &Architecture) -> Result<String, Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    for (index, epoch) in EPOCHS.into_iter().enumerate() {
        let mut kernel = kernel(16, u64::from(epoch));
        if index == 4 {
            kernel = naswot::Agreement::new(16, vec![128; 256])?;
        }
        folder.kernel(index, &kernel)?;
        let row = Row::of(index, cell, &kernel)
            .with("line", "")
            .with("seed", "")
            .with("initializer", "checkpoint")
            .with("weights_sha256", &format!("{epoch:064x}"));
        rows.push(if index == 2 { row.failed("conv.weight is missing") } else { row });
    }
    let more = |(place, line): (usize, &str)| match place.checked_sub(1) {
        None => format!("{line},checkpoint,epoch,epoch_from\n"),
        Some(index) => format!("{line},run/epoch{}.safetensors,{},name\n", EPOCHS[index], EPOCHS[index]),
    };
    Ok(csv(&rows)?.lines().enumerate().map(more).collect())
}

pub(crate) fn is_shown_over_its_epochs() -> Outcome {
    let folder = Folder::new()?;
    let cell = &Space::NasBench101.sample(1, 8)?[0];
    folder.write("trace.csv", &rows(&folder, cell)?)?;
    // As a training script logs it: no epoch 6, and one that was not traced.
    let log = [(0, 0.1), (1, 0.42), (2, 0.5), (3, 0.55), (4, 0.61), (8, 0.7), (10, 0.715)];
    let log: String = log
        .iter()
        .map(|(epoch, accuracy)| format!("{{\"epoch\":{epoch},\"training_accuracy\":{accuracy}}}\n"))
        .collect();
    folder.write("log.jsonl", &log)?;
    folder.done("report trace.csv --kernels k --accuracy log.jsonl -o page.html")?;
    folder.done("report trace.csv -o plain.html")?;

    let mut browser = Browser::start()?;
    browser.open(&folder.address("page.html"), 1400, 900, false)?;
    browser.screenshot(&pictures()?.join("trace-1400-light.png"), true)?;
    assert_eq!(text(&mut browser, "h1")?, "NASWOT scores over training: 7 checkpoints of NAS-Bench-101");
    let sections = browser
        .script("[...document.querySelectorAll('section:not([hidden])')].map((section) => section.id)")?;
    assert_eq!(sections, json!(["overview", "training", "gallery"]));
    let notes = text(&mut browser, ".notes")?;
    for expected in [
        "1 checkpoint has a score of −inf: K is singular. No axis has a place for it, so the line breaks there.",
        "1 checkpoint failed and has no score; the table says why.",
        "1 checkpoint has no accuracy: the table lacks the epoch.",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    assert!(!notes.contains("settings") && !notes.contains("earlier row"), "{notes}");
    // Both lines by epoch, with breaks where there is no number.
    let line = |id: &str| {
        format!(
            "Chart.getChart('{id}').data.datasets.map((set) => set.data.map(({{ x, y }}) => [x, Number.isNaN(y) ? null : y]))"
        )
    };
    let [scores, accuracies] = ["by-epoch", "accuracy-by-epoch"].map(|id| browser.script(&line(id)));
    let score = |epoch: u32| kernel(16, u64::from(epoch)).log_det();
    let expected = [
        json!([0, score(0)]),
        json!([1, score(1)]),
        json!([2, null]),
        json!([4, null]),
        json!([6, score(6)]),
        json!([8, score(8)]),
        json!([10, score(10)]),
    ];
    assert_eq!(scores?, json!([expected]));
    let expected = [
        json!([0, 10]),
        json!([1, 42]),
        json!([2, 50]),
        json!([4, 61]),
        json!([6, null]),
        json!([8, 70]),
        json!([10, 71.5]),
    ];
    assert_eq!(accuracies?, json!([expected]));
    let left = "['by-epoch', 'accuracy-by-epoch'].map((id) => Chart.getChart(id).chartArea.left)";
    let left = browser.script(left)?;
    assert_eq!(left[0], left[1], "epochs stand below each other");
    // The table has all of them, and a link opens one.
    let table = browser.script(
        "[...document.querySelectorAll('#checkpoints tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))",
    )?;
    assert_eq!(table.as_array().map(Vec::len), Some(7));
    let failed = json!(["2", "none", "50.00 %", "run/epoch2.safetensors", "conv.weight is missing"]);
    assert_eq!(table[2], failed);
    assert_eq!(table[3], json!(["4", "−inf", "61.00 %", "run/epoch4.safetensors", ""]));
    browser.click_on("#checkpoints tbody tr:nth-child(6) a")?;
    let opened = "[document.getElementById('detail-title').textContent, location.hash]";
    browser.until(opened, &json!(["Epoch 8", "#network-5"]))?;
    assert!(text(&mut browser, "#detail-body .columns")?.contains("run/epoch8.safetensors"));
    browser.key("ArrowRight", 39)?;
    browser.until(opened, &json!(["Epoch 10", "#network-3"]))?;
    browser.key("Escape", 27)?;
    // One network, its K at both ends, and that of every checkpoint.
    let captions = browser
        .script("[...document.querySelectorAll('#traced strong')].map((caption) => caption.textContent)")?;
    assert_eq!(captions, json!(["The network", "First: epoch 0", "Last: epoch 10"]));
    let drawn = "['#traced .cell', '#traced .heat', '#cards .heat', '#cards .cell'].map((part) => document.querySelectorAll(part).length)";
    assert_eq!(browser.script(drawn)?, json!([1, 2, 6, 0]));

    for (page, width, dark) in [("page", 390, true), ("plain", 1400, true), ("plain", 400, false)] {
        browser.open(&folder.address(&format!("{page}.html")), width, 900, dark)?;
        let theme = if dark { "dark" } else { "light" };
        browser.screenshot(&pictures()?.join(format!("trace-{page}-{width}-{theme}.png")), true)?;
        assert_eq!(browser.script("document.documentElement.scrollWidth <= innerWidth")?, true, "{page}");
        let (requests, complaints) = browser.events()?;
        assert_eq!((requests.len(), complaints.len()), (1, 0), "{requests:?} {complaints:?}");
    }
    // Without kernels and accuracies there is a line and a table.
    let parts = "[Boolean(Chart.getChart('accuracy-by-epoch')), document.getElementById('gallery').hidden, \
                 document.querySelectorAll('#traced figure').length]";
    assert_eq!(browser.script(parts)?, json!([false, true, 1]));

    // Of a table of networks there are no epochs.
    folder.write("table.csv", &format!("id,accuracy\n{},0.9\n", cell.id()))?;
    assert_eq!(
        folder.refused("report trace.csv --accuracy table.csv")?,
        "error: table.csv: of its columns (id, accuracy) none is `epoch`; --key says which has the epochs of a trace"
    );
    folder.write("other.csv", "step,accuracy\n77,0.9\n")?;
    assert_eq!(
        folder.refused("report trace.csv --accuracy other.csv --key step")?,
        "error: other.csv: has none of the epochs of trace.csv: no number is in both; --key says which column has them"
    );
    Ok(())
}
