//! The figures of a page: which networks they are of, what the top is worth, and that none is out of sight.

use naswot::Space;
use serde_json::{Value, json};

use super::common::browser::Browser;
use super::common::harness::Outcome;
use super::files::{Folder, Row, csv, kernel};
use super::run::{pictures, text};

/// 40 networks with accuracies, three of them of score minus infinity.
fn networks(folder: &Folder) -> Outcome {
    let mut rows = Vec::new();
    let mut table = "id,accuracy\n".to_owned();
    for (index, cell) in Space::NasBench201.sample(40, 6)?.iter().enumerate() {
        let row = Row::of(index, cell, &kernel(8, index as u64));
        rows.push(if [3, 11, 29].contains(&index) { row.with("score", "-inf") } else { row });
        table += &format!("{},{}\n", cell.id(), 80 + index * 17 % 40 / 3);
    }
    folder.write("scores.csv", &csv(&rows)?)?;
    folder.write("table.csv", &table)?;
    folder.done("report scores.csv --accuracy table.csv --bootstrap 50 -o page.html")?;
    Ok(())
}

fn correlated(folder: &Folder) -> Result<Value, Box<dyn std::error::Error>> {
    let json = folder.done("correlate scores.csv --accuracy table.csv --bootstrap 50 --json")?;
    Ok(serde_json::from_str(&json)?)
}

/// A number as a page has it.
fn shown(value: &Value) -> String {
    format!("{:.3}", value.as_f64().unwrap_or(f64::NAN)).replace('-', "−")
}

pub(crate) fn minus_infinity_is_said() -> Outcome {
    let folder = Folder::new()?;
    networks(&folder)?;
    let expected = correlated(&folder)?;
    let mut browser = Browser::start()?;
    browser.open(&folder.address("page.html"), 1400, 900, false)?;
    let notes = text(&mut browser, ".notes")?;
    let said = "3 networks have a score of −inf: K is singular. No axis has a place for it, so the charts, means and \
                deviations leave it out";
    assert!(notes.contains(said), "{notes}");
    assert_eq!(
        text(&mut browser, "#accuracy .below")?,
        "3 of the 40 networks have a score of −inf. Pearson's r and the regression, which have no place for it, leave \
         them out and are of 37. Kendall's tau-b, the weighted tau and Spearman's rho are of ranks, and take −inf for the \
         lowest score, all tied."
    );
    let row = "[...document.querySelector('#accuracy tbody tr').cells].map((cell) => cell.innerText.split(/[\\s[]/)[0])";
    let numbers = ["kendall_tau", "spearman", "pearson", "weighted_tau", "kendall_tau_equal_convs"];
    let cells: Vec<String> = numbers.map(|name| shown(&expected[name])).into();
    assert_eq!(browser.script(&format!("{row}.slice(2)"))?, json!(cells));
    let of = "document.querySelector('#accuracy tbody tr').cells[1].innerText.replace(/\\s+/, ' ')";
    assert_eq!(browser.script(of)?, "40 3 of −inf");
    // The tile of tau has its interval, and the number of parameters stands beside it.
    let tiles = "[...document.querySelectorAll('.tiles div')].map((tile) => tile.textContent).filter((tile) => tile.startsWith('Kendall'))";
    let tile = |name: &str, of: &Value| {
        let interval = &of["intervals"]["kendall_tau"];
        let [tau, low, high] = [&of["kendall_tau"], &interval["low"], &interval["high"]].map(shown);
        format!("Kendall tau-b of {name}{tau} [{low}, {high}]")
    };
    assert_eq!(
        browser.script(tiles)?,
        json!([tile("score", &expected), tile("parameters", &expected["parameters"])])
    );
    let (_, complaints) = browser.events()?;
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

pub(crate) fn the_top_is_shown() -> Outcome {
    let folder = Folder::new()?;
    networks(&folder)?;
    let top = &correlated(&folder)?["top"];
    let mut browser = Browser::start()?;
    browser.open(&folder.address("page.html"), 1400, 900, false)?;
    assert_eq!(text(&mut browser, "#tops h3")?, "The 10 highest scores");
    let said = text(&mut browser, "#tops p")?;
    let found = (top["precision"].as_f64().ok_or("no precision")? * 10.0).round();
    for expected in [
        format!("number {} of 40 by accuracy.", top["best_rank"]),
        format!("The highest score is number {}.", top["first_rank"]),
        format!("{found} of them are among the 10 most accurate.")
            .replace("0 of them are", "None of them is")
            .replace("1 of them are", "1 of them is"),
    ] {
        assert!(said.contains(&expected), "{expected}: {said}");
    }
    let rows = browser.script(
        "[...document.querySelectorAll('#tops tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))",
    )?;
    let rows: Vec<Vec<String>> = serde_json::from_value(rows)?;
    assert_eq!(rows.len(), 10);
    let column = |place: usize| -> Vec<f64> {
        rows.iter().map(|row| row[place].trim_end_matches(" %").parse().unwrap_or(f64::NAN)).collect()
    };
    let (scores, accuracies, ranks) = (column(2), column(3), column(4));
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let best = ranks.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!((top["best_rank"].as_f64(), top["first_rank"].as_f64()), (Some(best), Some(ranks[0])));
    // The most accurate of them is the one that the sentence names, and a link opens it.
    let place = ranks.iter().position(|rank| *rank == best).ok_or("no best")?;
    assert!(accuracies.iter().all(|accuracy| *accuracy <= accuracies[place]));
    assert!(said.contains(&format!("network {}, {}", rows[place][1], rows[place][3])), "{said}");
    browser.click_on("#tops p a")?;
    let name = json!(format!("Network {}", rows[place][1]));
    browser.until("document.getElementById('detail-title').textContent", &name)?;
    Ok(())
}

pub(crate) fn show_that_they_scroll() -> Outcome {
    let folder = Folder::new()?;
    networks(&folder)?;
    let mut browser = Browser::start()?;
    for dark in [false, true] {
        browser.open(&folder.address("page.html"), 400, 900, dark)?;
        let page = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.script(page)?, true, "the page itself does not scroll");
        // All that is wider than its place is a table that scrolls, with a bar below it and shades at its sides.
        let clipped = browser.script(
            "[...document.querySelectorAll('main *')].filter((found) => found.scrollWidth > found.clientWidth + 1 \
             && getComputedStyle(found).overflowX !== 'visible' && !found.classList.contains('scroll') && !found.matches('input, select'))\
             .map((found) => found.outerHTML.slice(0, 80))",
        )?;
        assert_eq!(clipped, json!([]));
        // Widths are rounded.
        let tables = browser.script(
            "[...document.querySelectorAll('.scroll')].filter((found) => found.scrollWidth > found.clientWidth + 1).map((found) => \
             [found.offsetHeight > found.clientHeight, getComputedStyle(found).backgroundAttachment, found.tabIndex])",
        )?;
        let tables = tables.as_array().ok_or("no tables")?;
        assert!(tables.len() >= 2, "{tables:?}");
        for table in tables {
            assert_eq!(*table, json!([true, "local, local, scroll, scroll", 0]));
        }
        // By keys to its end.
        browser.script("document.querySelector('#accuracy .scroll').focus()")?;
        browser.key("ArrowRight", 39)?;
        browser.until("document.querySelector('#accuracy .scroll').scrollLeft > 0", &json!(true))?;
        browser
            .script("document.querySelector('#accuracy .caption').scrollIntoView({ behavior: 'instant' })")?;
        browser.screenshot(
            &pictures()?.join(format!("table-400-{}.png", if dark { "dark" } else { "light" })),
            false,
        )?;
    }
    Ok(())
}
