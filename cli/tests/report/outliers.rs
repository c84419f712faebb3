//! Points that take half of an axis for themselves.

use naswot::Space;
use serde_json::json;

use super::common::browser::Browser;
use super::common::harness::Outcome;
use super::files::{Folder, Row, csv, kernel};
use super::run::pictures;

/// A page of networks with these accuracies, their indices from 0 on.
fn page(folder: &Folder, name: &str, accuracies: &[f64]) -> Outcome {
    let mut rows = Vec::new();
    let mut table = "id,accuracy\n".to_owned();
    for (index, (cell, accuracy)) in
        Space::NasBench201.sample(accuracies.len(), 4)?.iter().zip(accuracies).enumerate()
    {
        rows.push(Row::of(index, cell, &kernel(8, index as u64)));
        table += &format!("{},{accuracy}\n", cell.id());
    }
    folder.write("scores.csv", &csv(&rows)?)?;
    folder.write("table.csv", &table)?;
    folder.done(&format!("report scores.csv --accuracy table.csv --bootstrap 20 -o {name}.html"))?;
    Ok(())
}

/// Whether the control is there and on, what it says, and how many points the chart has.
const STATE: &str = "(() => { const control = document.getElementById('by-accuracy-outliers'); \
     return [!control.hidden, control.querySelector('input').checked, control.innerText.trim().split('\\n').filter(Boolean), \
     Chart.getChart('by-accuracy').data.datasets.find((set) => set.type !== 'line').data.length]; })()";

pub(crate) fn are_hidden_and_named() -> Outcome {
    let folder = Folder::new()?;
    let mut browser = Browser::start()?;
    // 40 good networks, and two that have learned nothing.
    let mut accuracies: Vec<f64> = (0..40).map(|i| 88.0 + f64::from(i) / 10.0).collect();
    accuracies[7] = 10.0;
    accuracies[21] = 11.5;
    page(&folder, "two", &accuracies)?;
    browser.open(&folder.address("two.html"), 1200, 900, false)?;
    let hidden = "Hidden: 2 of 40 points, which would take half of an axis or more: networks 7, 21. All figures count them.";
    let label = "leave outliers off the axes";
    assert_eq!(browser.script(STATE)?, json!([true, true, [label, hidden], 38]));
    let axis = "Chart.getChart('by-accuracy').scales.y.min";
    assert!(browser.script(axis)?.as_f64().is_some_and(|least| least > 80.0));
    browser.script("document.getElementById('accuracy').scrollIntoView({ behavior: 'instant' })")?;
    browser.screenshot(&pictures()?.join("outliers.png"), false)?;
    // The line is that of all networks, and ends where the points do.
    let line = "Chart.getChart('by-accuracy').data.datasets.find((set) => set.type === 'line')";
    assert_eq!(browser.script(&format!("{line}.label"))?, "accuracy over score, least squares");
    // Its name opens what is hidden.
    browser.click_on("#by-accuracy-outliers a")?;
    browser.until("document.getElementById('detail-title').textContent", &json!("Network 7"))?;
    browser.key("Escape", 27)?;
    browser.click_on("#by-accuracy-outliers input")?;
    browser.until(STATE, &json!([true, false, [label], 40]))?;
    assert!(browser.script(axis)?.as_f64().is_some_and(|least| least <= 10.0));
    // What was chosen stays when charts are drawn anew.
    browser.click_on("#theme")?;
    assert_eq!(browser.script(STATE)?, json!([true, false, [label], 40]));

    // Evenly spread accuracies have none, and their lowest can be left off.
    let even: Vec<f64> = (0..40).map(f64::from).collect();
    page(&folder, "even", &even)?;
    browser.open(&folder.address("even.html"), 1200, 900, false)?;
    let label = "leave the lowest 5 % of accuracies off the axis";
    assert_eq!(browser.script(STATE)?, json!([true, false, [label], 40]));
    browser.click_on("#by-accuracy-outliers input")?;
    browser.until(
        STATE,
        &json!([true, true, [label, "Hidden: 2 of 40 points: networks 0, 1. All figures count them."], 38]),
    )?;

    // Three of forty are no outliers but a part of the networks; of few networks none is known to be one.
    accuracies[30] = 12.0;
    for (name, accuracies) in [("three", &accuracies[..]), ("few", &[90.0, 91.0, 92.0, 93.0, 10.0][..])] {
        page(&folder, name, accuracies)?;
        browser.open(&folder.address(&format!("{name}.html")), 1200, 900, false)?;
        let points = browser.script(STATE)?;
        assert_eq!((&points[1], &points[3]), (&json!(false), &json!(accuracies.len())), "{name}");
    }
    let (_, complaints) = browser.events()?;
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}
