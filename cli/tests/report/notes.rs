//! What is unusual in the rows: text that would be markup, scores that cannot be drawn, settings that differ.

use naswot::{Agreement, Space};

use super::common::browser::Browser;
use super::common::harness::Outcome;
use super::files::{Folder, Row, csv, kernel};

/// Ends a script, begins another, and would be an element wherever it is taken for markup.
const HOSTILE: &str = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>&amp;\u{2028}<!--\"{{data}}";

pub(crate) fn text_from_files_is_text() -> Outcome {
    let folder = Folder::new()?;
    let cells = Space::NasBench101.sample(3, 1)?;
    let mut rows = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        rows.push(Row::of(index, cell, &kernel(4, index as u64)));
    }
    rows[0] = rows[0].clone().with("id", HOSTILE).with("device", HOSTILE);
    rows[1] = rows[1].clone().failed(HOSTILE);
    rows[2] = rows[2].clone().with("data", HOSTILE);
    // The names of the accuracy and of the file as well.
    folder.write("<b>&.csv", &csv(&rows)?)?;
    let id = HOSTILE.replace('"', "\"\"");
    let table = format!("id,\"<i>accuracy</i>{id}\"\n\"{id}\",0.5\n{},0.6\n", cells[2].id());
    folder.write("table.csv", &table)?;
    folder.done("report <b>&.csv --accuracy table.csv -o page.html")?;

    let mut browser = Browser::start()?;
    browser.open(&folder.address("page.html"), 1200, 900, false)?;
    let check = |browser: &mut Browser| -> Outcome {
        assert_eq!(browser.script("typeof window.broken")?, "undefined");
        assert_eq!(browser.script("document.querySelectorAll('img, b, i').length")?, 0);
        assert_eq!(browser.script("document.querySelectorAll('script').length")?, 3);
        Ok(())
    };
    check(&mut browser)?;
    assert_eq!(browser.script("document.querySelectorAll('#cards .card').length")?, 3);
    let text = |browser: &mut Browser, selector: &str| {
        browser.script(&format!("document.querySelector('{selector}').textContent"))
    };
    let why = text(&mut browser, ".card .why")?;
    assert_eq!(why, HOSTILE);
    // Opened by its address, with all columns.
    browser.open(&format!("{}#network-0", folder.address("page.html")), 1200, 900, false)?;
    let columns = text(&mut browser, "#detail-body .columns")?;
    assert_eq!(
        columns.as_str().unwrap_or_default().matches(HOSTILE).count(),
        3,
        "id, device, name of the accuracy"
    );
    check(&mut browser)?;
    let settings = text(&mut browser, ".settings")?;
    assert!(settings.as_str().unwrap_or_default().contains(HOSTILE));
    let footer = text(&mut browser, "footer")?;
    assert!(footer.as_str().unwrap_or_default().contains("from <b>&.csv."));
    let (requests, complaints) = browser.events()?;
    assert_eq!((requests.len(), complaints.len()), (1, 0), "{requests:?} {complaints:?}");
    Ok(())
}

pub(crate) fn what_is_not_as_usual_is_said() -> Outcome {
    let folder = Folder::new()?;
    let mut rows = Vec::new();
    let mut table = "arch,test_acc\n".to_owned();
    let mut add = |cell: &naswot::Architecture, kernel: Agreement| -> Outcome {
        let index = rows.len();
        folder.kernel(index, &kernel)?;
        rows.push(Row::of(index, cell, &kernel));
        Ok(())
    };
    for (space, n) in [(Space::NasBench101, 6), (Space::NasBench201, 5)] {
        for (i, cell) in space.sample(n, 2)?.iter().enumerate() {
            add(cell, kernel(40, 90 + i as u64))?;
            if i != 3 {
                table += &format!("{},{}\n", cell.arch(), 90 - i);
            }
        }
    }
    // K of equal codes is singular.
    add(&Space::NasBench201.sample(6, 2)?[5], Agreement::new(40, vec![320; 1600])?)?;
    let again = rows[0].clone().with("index", "12").with("seed", "1");
    folder.kernel(12, &kernel(40, 90))?;
    rows.push(again);
    rows.push(rows[1].clone().with("index", "13").failed("out of memory"));
    let unread = ["space", "id", "arch", "activations", "parameters", "macs", "convs", "cells"];
    let row = rows[2].clone().with("index", "14").failed("no such space");
    rows.push(unread.iter().fold(row, |row, column| row.with(column, "")));
    folder.write("scores.csv", &csv(&rows)?)?;
    folder.write("table.csv", &table)?;
    folder.done("report scores.csv --kernels k --accuracy table.csv -o page.html")?;

    let mut browser = Browser::start()?;
    browser.open(&folder.address("page.html"), 1400, 900, false)?;
    let notes = browser.script("document.querySelector('.notes').innerText")?;
    for expected in [
        "The rows are of different settings: seed is 0 (14 rows), 1 (1 row). Their scores are not comparable.",
        "The rows are of two search spaces.",
        "1 network has a score of −inf",
        "2 networks failed and have no score",
        "2 rows are of a network that an earlier row has",
        "3 networks with a score have no accuracy in the table",
    ] {
        assert!(notes.as_str().unwrap_or_default().contains(expected), "{expected}: {notes}");
    }
    // Figures of each space by itself.
    let tables = browser.script("document.querySelectorAll('#accuracy table').length")?;
    assert_eq!(tables, 2);
    let networks = browser.script(
        "[...document.querySelectorAll('#accuracy table')].map((table) => table.rows[1].cells[1].textContent)",
    )?;
    assert_eq!(networks, serde_json::json!(["5", "4"]));
    // 40 images in 20 squares of two a side.
    let scale = browser.script("document.querySelector('.scale').innerText")?;
    assert!(
        scale
            .as_str()
            .unwrap_or_default()
            .contains("Each square is the mean over 2\u{a0}×\u{a0}2 pairs of images."),
        "{scale}"
    );
    assert_eq!(browser.script("document.querySelector('#cards .heat').width")?, 20);
    let drawn = browser.script(
        "['by-accuracy', 'by-parameters'].map((id) => Chart.getChart(id).data.datasets.filter((set) => set.type !== 'line')\
         .map((set) => set.data.length))",
    )?;
    assert_eq!(drawn, serde_json::json!([[6, 4], [7, 5]]));
    let mut show = |state: &str| -> Result<serde_json::Value, Box<dyn std::error::Error>> {
        browser.script(&format!(
            "(() => {{ const state = document.querySelector('[name=state]'); state.value = '{state}'; \
             state.dispatchEvent(new Event('input', {{ bubbles: true }})); \
             return [...document.querySelectorAll('#cards .name')].map((name) => name.textContent); }})()"
        ))
    };
    assert_eq!(show("infinite")?, serde_json::json!(["Network 11"]));
    assert_eq!(show("failed")?, serde_json::json!(["Network 13", "Network 14"]));
    assert_eq!(show("repeated")?, serde_json::json!(["Network 12", "Network 13"]));
    assert_eq!(show("all")?.as_array().map(Vec::len), Some(15));
    // The network that could not be read has neither graph nor heat map, and opens all the same.
    browser.open(&format!("{}#network-14", folder.address("page.html")), 1400, 900, false)?;
    let parts = browser.script("[document.querySelectorAll('#detail .cell, #detail .heat').length, document.getElementById('detail').open]")?;
    assert_eq!(parts, serde_json::json!([0, true]));
    let (requests, complaints) = browser.events()?;
    assert_eq!((requests.len(), complaints.len()), (1, 0), "{requests:?} {complaints:?}");
    Ok(())
}

/// One network, none with a finite score, all of one score: the page says what there is.
pub(crate) fn little_is_shown_as_it_is() -> Outcome {
    let folder = Folder::new()?;
    let cells = Space::NasBench101.sample(3, 1)?;
    let equal: Vec<Row> = cells.iter().enumerate().map(|(i, cell)| Row::of(i, cell, &kernel(4, 1))).collect();
    let infinite: Vec<Row> = equal.iter().map(|row| row.clone().with("score", "-inf")).collect();
    let table: String =
        cells.iter().enumerate().map(|(i, cell)| format!("{},{}\n", cell.id(), 90 + i)).collect();
    folder.write("table.csv", &format!("id,accuracy\n{table}"))?;
    let mut browser = Browser::start()?;
    for (name, rows, hidden, pair, found) in [
        ("one", &equal[..1], 1, 1, "1 network"),
        ("equal", &equal[..], 1, 1, "3 networks"),
        ("infinite", &infinite[..], 5, 0, "3 networks"),
    ] {
        folder.write(&format!("{name}.csv"), &csv(rows)?)?;
        folder.done(&format!("report {name}.csv --accuracy table.csv -o {name}.html"))?;
        browser.open(&folder.address(&format!("{name}.html")), 1200, 900, false)?;
        let shown = browser.script(
            "[document.querySelectorAll('section[hidden]').length, document.querySelectorAll('#pair figure').length, \
             document.getElementById('found').textContent, document.querySelectorAll('#cards .cell').length]",
        )?;
        assert_eq!(shown, serde_json::json!([hidden, pair, found, rows.len()]), "{name}");
        let (requests, complaints) = browser.events()?;
        assert_eq!((requests.len(), complaints.len()), (1, 0), "{name}: {requests:?} {complaints:?}");
    }
    Ok(())
}
