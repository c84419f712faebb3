//! The page of a real run, in a real browser.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use naswot::Agreement;
use naswot::analysis::drawing::sequential;
use serde_json::{Value, json};

use super::common::browser::Browser;
use super::common::harness::Outcome;
use super::files::Folder;

/// A hundred cells, scored with kernels, with a table of made-up accuracies for all but the first ten.
struct Run {
    folder: Folder,
    rows: Vec<Vec<String>>,
}

impl Run {
    fn new() -> Result<Self, Box<dyn Error>> {
        let folder = Folder::new()?;
        folder.write("cells.jsonl", &folder.done("sample --space nasbench101 -n 100")?)?;
        fs::remove_dir(folder.path("k"))?;
        folder.done("score cells.jsonl -o scores.csv --kernels k --backend cpu -q")?;
        let mut reader = csv::Reader::from_path(folder.path("scores.csv"))?;
        let rows: Vec<Vec<String>> = reader
            .records()
            .map(|row| Ok(row?.iter().map(str::to_owned).collect()))
            .collect::<Result<_, csv::Error>>()?;
        let accuracies = rows.iter().enumerate().skip(10).map(|(i, row)| {
            let score: f64 = row[5].parse().unwrap_or_default();
            format!("{},{}\n", row[3], 0.7 + score / 4000.0 + (i * 61 % 97) as f64 / 1000.0)
        });
        folder.write("table.csv", &format!("hash,accuracy\n{}", accuracies.collect::<String>()))?;
        folder.done("report scores.csv --kernels k --accuracy table.csv -o page.html")?;
        Ok(Run { folder, rows })
    }

    fn open(&self) -> Result<Browser, Box<dyn Error>> {
        let mut browser = Browser::start()?;
        browser.open(&self.folder.address("page.html"), 1400, 900, false)?;
        Ok(browser)
    }

    fn numbers(&self, column: usize) -> Vec<f64> {
        self.rows.iter().map(|row| row[column].parse().unwrap_or(f64::NAN)).collect()
    }
}

pub(crate) fn pictures() -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

pub(crate) fn text(browser: &mut Browser, selector: &str) -> Result<String, Box<dyn Error>> {
    let text = browser.script(&format!("document.querySelector('{selector}')?.innerText"))?;
    Ok(text.as_str().ok_or_else(|| format!("no {selector}"))?.to_owned())
}

/// Names of the networks that the gallery shows.
fn names(browser: &mut Browser) -> Result<Vec<usize>, Box<dyn Error>> {
    let names =
        browser.script("[...document.querySelectorAll('#cards .name')].map((name) => name.textContent)")?;
    let names = names.as_array().ok_or("no names")?;
    names
        .iter()
        .map(|name| {
            Ok(name.as_str().and_then(|name| name.strip_prefix("Network ")).ok_or("no name")?.parse()?)
        })
        .collect()
}

fn choose(browser: &mut Browser, name: &str, value: &str) -> Outcome {
    browser.script(&format!(
        "(() => {{ const control = document.querySelector('#filter [name={name}]'); control.value = '{value}'; \
         control.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
    ))?;
    Ok(())
}

/// Positions of values, the largest first.
fn descending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

pub(crate) fn a_real_run_can_be_looked_through() -> Outcome {
    let run = Run::new()?;
    let mut browser = run.open()?;
    figures(&run, &mut browser)?;
    gallery(&run, &mut browser)?;
    point(&run, &mut browser)?;
    keys(&run, &mut browser)?;
    extremes_and_bars(&run, &mut browser)?;
    let (requests, complaints) = browser.events()?;
    assert_eq!(requests, [run.folder.address("page.html")], "nothing but the page itself");
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

/// The numbers are those of `naswot correlate`.
fn figures(run: &Run, browser: &mut Browser) -> Outcome {
    let expected: Value =
        serde_json::from_str(&run.folder.done("correlate scores.csv --accuracy table.csv --json")?)?;
    let shown = text(browser, "#accuracy tbody tr")?;
    let cells: Vec<&str> = shown.split('\t').collect();
    assert_eq!(cells[..2], ["score, ln |det K|", "90"]);
    let number = |value: &Value| format!("{:.3}", value.as_f64().unwrap_or(f64::NAN)).replace('-', "−");
    for (cell, name) in cells[2..].iter().zip(["kendall_tau", "spearman", "pearson"]) {
        let interval = &expected["intervals"][name];
        let expected = format!(
            "{} [{}, {}]",
            number(&expected[name]),
            number(&interval["low"]),
            number(&interval["high"])
        );
        assert_eq!(*cell, expected, "{name}");
    }
    assert_eq!(cells[5..], [number(&expected["weighted_tau"]), number(&expected["kendall_tau_equal_convs"])]);
    assert!(text(browser, "#settings, .settings")?.contains("synthetic"));
    assert!(text(browser, ".notes")?.contains("10 networks with a score have no accuracy in the table."));
    let bars = browser
        .script("Chart.getChart('histogram').data.datasets[0].data.reduce((sum, bar) => sum + bar.y, 0)")?;
    assert_eq!(bars, 100);
    Ok(())
}

/// Counts, pages, sorts, filters.
fn gallery(run: &Run, browser: &mut Browser) -> Outcome {
    let by_score = descending(&run.numbers(5));
    assert_eq!(names(browser)?, by_score[..24]);
    assert_eq!(text(browser, ".pager span")?, "Page 1 of 5");
    assert_eq!(text(browser, "#found")?, "100 networks");
    for (to, page, shown) in [
        ("next", 2, &by_score[24..48]),
        ("last", 5, &by_score[96..]),
        ("previous", 4, &by_score[72..96]),
        ("first", 1, &by_score[..24]),
    ] {
        browser.click_on(&format!(".pager [data-to={to}]"))?;
        let expected = json!(format!("Page {page} of 5"));
        browser.until("document.querySelector('.pager span').textContent", &expected)?;
        assert_eq!(names(browser)?, shown, "{to}");
    }
    choose(browser, "sort", "parameters")?;
    choose(browser, "order", "up")?;
    let parameters = run.numbers(7);
    let sorted: Vec<f64> = names(browser)?.into_iter().map(|i| parameters[i]).collect();
    let mut expected = parameters.clone();
    expected.sort_by(f64::total_cmp);
    assert_eq!(sorted, expected[..24]);
    // Networks without an accuracy are last, whichever way it is sorted.
    for order in ["up", "down"] {
        choose(browser, "sort", "accuracy")?;
        choose(browser, "order", order)?;
        browser.click_on(".pager [data-to=last]")?;
        browser.until("document.querySelector('.pager span').textContent", &json!("Page 5 of 5"))?;
        assert_eq!(names(browser)?, [6, 7, 8, 9], "{order}");
    }
    choose(browser, "text", &run.rows[7][3][3..20].to_uppercase())?;
    assert_eq!(names(browser)?, [7]);
    assert_eq!(text(browser, "#found")?, "1 of 100 networks");
    choose(browser, "text", "nobody")?;
    assert!(names(browser)?.is_empty());
    assert_eq!(text(browser, "#cards .empty")?, "No network passes the filter.");
    browser.click_on("#filter [type=reset]")?;
    browser.until("document.getElementById('found').textContent", &json!("100 networks"))?;
    let median = run.numbers(5)[descending(&run.numbers(5))[49]];
    choose(browser, "from", &median.to_string())?;
    assert_eq!(text(browser, "#found")?, "50 of 100 networks");
    choose(browser, "from", "")?;
    // Digits of `arch` say which operations there are.
    let pools =
        run.rows.iter().filter(|row| row[4].split('/').next_back().unwrap_or_default().contains('2')).count();
    let option = browser.script(
        "[...document.querySelector('[name=operation]').options].find((option) => option.text === '3×3 max').value",
    )?;
    choose(browser, "operation", option.as_str().unwrap_or_default())?;
    assert_eq!(text(browser, "#found")?, format!("{pools} of 100 networks"));
    browser.click_on("#filter [type=reset]")?;
    browser.until("document.getElementById('found').textContent", &json!("100 networks"))?;
    assert_eq!(names(browser)?, by_score[..24]);
    Ok(())
}

/// A click on a point of the scatter plot opens that network.
fn point(run: &Run, browser: &mut Browser) -> Outcome {
    browser.script(
        "document.getElementById('by-accuracy').scrollIntoView({ block: 'center', behavior: 'instant' })",
    )?;
    let place = browser.script(
        "(() => { const chart = Chart.getChart('by-accuracy'); \
         const s = chart.data.datasets.findIndex((set) => set.type !== 'line'); \
         const points = chart.getDatasetMeta(s).data; \
         const far = (a) => Math.min(...points.filter((b) => a !== b).map((b) => Math.hypot(a.x - b.x, a.y - b.y))); \
         const alone = points.reduce((a, b) => (far(b) > far(a) ? b : a)); \
         const box = chart.canvas.getBoundingClientRect(); \
         return [box.x + alone.x, box.y + alone.y, chart.data.datasets[s].data[points.indexOf(alone)].row]; })()",
    )?;
    let network = place[2].as_u64().ok_or("no network")? as usize;
    browser.click(place[0].as_f64().ok_or("x")?, place[1].as_f64().ok_or("y")?)?;
    shows(run, browser, network)?;
    browser.screenshot(&pictures()?.join("network.png"), false)?;
    browser.key("Escape", 27)?;
    assert_eq!(
        browser.script("[document.getElementById('detail').open, location.hash]")?,
        json!([false, ""])
    );
    Ok(())
}

/// Whether the dialog shows a network: its row, its graph, and its K, square by square.
fn shows(run: &Run, browser: &mut Browser, network: usize) -> Outcome {
    let state = "[document.getElementById('detail').open, document.getElementById('detail-title').textContent, location.hash]";
    browser.until(state, &json!([true, format!("Network {network}"), format!("#network-{network}")]))?;
    let row = &run.rows[network];
    let columns = text(browser, "#detail-body .columns")?;
    for value in [&row[3], &row[4], &row[5], &row[22]] {
        assert!(columns.contains(value.as_str()), "{value}: {columns}");
    }
    let cell: naswot::nasbench101::Cell = row[4].parse()?;
    let drawn = browser.script(
        "[document.querySelectorAll('#detail .cell rect').length, document.querySelectorAll('#detail .cell .edge').length]",
    )?;
    assert_eq!(drawn, json!([cell.vertices(), cell.edges()]));
    let labels = browser
        .script("[...document.querySelectorAll('#detail .cell text')].map((label) => label.textContent)")?;
    let ops = cell.op_names().into_iter().map(|op| match op {
        "input" => "in",
        "output" => "out",
        "conv3x3-bn-relu" => "3×3 conv",
        "conv1x1-bn-relu" => "1×1 conv",
        _ => "3×3 max",
    });
    assert_eq!(labels, json!(ops.collect::<Vec<_>>()));
    let alt = browser.script("document.querySelector('#detail .cell').getAttribute('aria-label')")?;
    assert!(alt.as_str().unwrap_or_default().starts_with("Graph of the cell: in to "), "{alt}");

    // The least share of all networks has the first color, all bits the last.
    let kernel = |i: usize| Agreement::read_npy(run.folder.path(&format!("k/{i}.npy")));
    let share = |kernel: &Agreement, entry: u32| f64::from(entry) / f64::from(kernel.activations());
    let mut least = 1.0_f64;
    for i in 0..run.rows.len() {
        let kernel = kernel(i)?;
        least = kernel.as_slice().iter().fold(least, |least, &entry| least.min(share(&kernel, entry)));
    }
    assert!(text(browser, ".scale")?.starts_with(&format!("{least:.3}")));
    let pixels = browser.script(
        "(() => { const map = document.querySelector('#detail .heat'), copy = document.createElement('canvas'); \
         const context = copy.getContext('2d', { willReadFrequently: true }); context.drawImage(map, 0, 0); \
         return [map.width, ...context.getImageData(0, 0, map.width, map.height).data]; })()",
    )?;
    let pixels: Vec<i64> =
        pixels.as_array().ok_or("no pixels")?.iter().map(|value| value.as_i64().unwrap_or(-1)).collect();
    let kernel = kernel(network)?;
    assert_eq!((pixels[0], pixels.len()), (32, 1 + 4 * 32 * 32));
    for (entry, pixel) in kernel.as_slice().iter().zip(pixels[1..].chunks(4)) {
        let expected = sequential((share(&kernel, *entry) - least) / (1.0 - least)).0;
        for (found, expected) in pixel.iter().zip(expected) {
            // One of 256 steps either way.
            assert!((found - i64::from(expected)).abs() <= 3, "{pixel:?}, not {expected:?}");
        }
    }
    Ok(())
}

/// Everything can be done without a mouse.
fn keys(run: &Run, browser: &mut Browser) -> Outcome {
    let by_score = descending(&run.numbers(5));
    // Opened from the gallery, it goes on in the gallery's order.
    browser.script("document.querySelector('#cards .card').focus()")?;
    browser.key("Enter", 13)?;
    shows(run, browser, by_score[0])?;
    browser.key("ArrowLeft", 37)?;
    shows(run, browser, by_score[0])?;
    for &network in &by_score[1..3] {
        browser.key("ArrowRight", 39)?;
        shows(run, browser, network)?;
    }
    browser.key("ArrowLeft", 37)?;
    shows(run, browser, by_score[1])?;
    browser.key("Escape", 27)?;
    browser.until("document.activeElement === document.querySelector('#cards .card')", &json!(true))?;

    // The scatter plot goes by score.
    browser.script("document.getElementById('by-accuracy').focus()")?;
    browser.key("End", 35)?;
    let highest = by_score.iter().copied().find(|&network| network >= 10).ok_or("no accuracy")?;
    assert!(text(browser, "#by-accuracy-at")?.starts_with(&format!("Network {highest}: score ")));
    browser.key("Enter", 13)?;
    shows(run, browser, highest)?;
    browser.key("Escape", 27)?;

    // An address opens its network, and no other.
    browser.script("location.hash = '#network-42'")?;
    shows(run, browser, 42)?;
    browser.script("location.hash = '#network-100'")?;
    browser.until("document.getElementById('detail').open", &json!(false))?;

    // From the top, Tab comes by everything that can be used.
    browser.script("document.activeElement.blur(); scrollTo(0, 0)")?;
    browser.click(5.0, 5.0)?;
    let mut reached = Vec::new();
    for _ in 0..60 {
        browser.key("Tab", 9)?;
        let at = "(() => { const at = document.activeElement; \
                  return at.closest('.controls') ? 'outliers' : at.id || at.name || at.className; })()";
        reached.push(browser.script(at)?.as_str().unwrap_or_default().to_owned());
    }
    for wanted in ["skip", "theme", "by-accuracy", "outliers", "by-parameters", "text", "sort"] {
        assert!(reached.iter().any(|at| at == wanted), "{wanted}: {reached:?}");
    }
    Ok(())
}

/// The pair of networks, and a bar of the histogram as a filter.
fn extremes_and_bars(run: &Run, browser: &mut Browser) -> Outcome {
    let by_score = descending(&run.numbers(5));
    let captions = browser
        .script("[...document.querySelectorAll('#pair strong')].map((caption) => caption.textContent)")?;
    let (highest, lowest) = (by_score[0], by_score[99]);
    assert_eq!(captions, json!([format!("Highest: network {highest}"), format!("Lowest: network {lowest}")]));
    assert_eq!(browser.script("document.querySelectorAll('#pair .cell, #pair .heat').length")?, 4);
    browser.script(
        "document.getElementById('histogram').scrollIntoView({ block: 'center', behavior: 'instant' })",
    )?;
    let bar = browser.script(
        "(() => { const chart = Chart.getChart('histogram'); const box = chart.canvas.getBoundingClientRect(); \
         const bar = chart.getDatasetMeta(0).data[2]; \
         return [box.x + bar.x, box.y + (bar.y + bar.base) / 2, chart.data.datasets[0].data[2].y]; })()",
    )?;
    browser.click(bar[0].as_f64().ok_or("x")?, bar[1].as_f64().ok_or("y")?)?;
    let found = json!(format!("{} of 100 networks", bar[2]));
    browser.until("document.getElementById('found').textContent", &found)?;
    Ok(())
}

pub(crate) fn every_width_and_theme() -> Outcome {
    let run = Run::new()?;
    run.folder.done("report scores.csv -o plain.html")?;
    let mut browser = Browser::start()?;
    let pictures = pictures()?;
    for page in ["page", "plain"] {
        for (width, dark) in
            [(360, false), (390, true), (768, false), (1400, false), (1400, true), (1600, false)]
        {
            browser.open(&run.folder.address(&format!("{page}.html")), width, 900, dark)?;
            let name = format!("{page}-{width}-{}.png", if dark { "dark" } else { "light" });
            browser.screenshot(&pictures.join(name), true)?;
            let content = browser.script("document.documentElement.scrollWidth")?;
            assert!(
                content.as_u64().is_some_and(|content| content <= u64::from(width)),
                "{page} at {width}: {content}"
            );
            themed(&mut browser, dark)?;
            let (requests, complaints) = browser.events()?;
            assert_eq!((requests.len(), complaints.len()), (1, 0), "{requests:?} {complaints:?}");
        }
    }
    // What there is nothing of is not there.
    let parts = browser.script(
        "[document.querySelectorAll('.heat, .scale, #filter option[value=accuracy]').length, \
         document.getElementById('accuracy').hidden, Boolean(Chart.getChart('by-accuracy'))]",
    )?;
    assert_eq!(parts, json!([0, true, false]));
    Ok(())
}

/// Text can be read on its ground (4.5 to 1, WCAG 2.2 AA) in the theme of the system, and in the other one after a click.
fn themed(browser: &mut Browser, dark: bool) -> Outcome {
    for dark in [dark, !dark] {
        let found = browser.script(
            "(() => { \
               const rgb = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number); \
               const light = (color) => { const [r, g, b] = rgb(color).map((c) => c / 255) \
                 .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)); \
                 return 0.2126 * r + 0.7152 * g + 0.0722 * b; }; \
               const ground = (element) => { for (let e = element; e; e = e.parentElement) { \
                 const color = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(color)) return color; } }; \
               let least = 21; \
               for (const element of document.querySelectorAll('h1, h2, p, a, dt, dd, th, td, li, label, summary, small, .name')) { \
                 const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a); \
                 least = Math.min(least, (a + 0.05) / (b + 0.05)); \
               } \
               return [least, light(getComputedStyle(document.body).backgroundColor)]; })()",
        )?;
        assert!(found[0].as_f64().is_some_and(|least| least >= 4.5), "contrast {found}");
        assert!(found[1].as_f64().is_some_and(|ground| (ground < 0.1) == dark), "{found}");
        let before = browser.script("document.getElementById('theme').textContent")?;
        browser.click_on("#theme")?;
        let after = if before == "Dark" { "Light" } else { "Dark" };
        browser.until("document.getElementById('theme').textContent", &json!(after))?;
    }
    Ok(())
}
