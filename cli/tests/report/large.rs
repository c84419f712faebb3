//! Thousands of networks on one page.

use std::error::Error;
use std::fmt::Write;

use naswot::Space;

use super::common::browser::Browser;
use super::common::harness::Outcome;
use super::files::{Folder, Row, csv, kernel};

const NETWORKS: usize = 5000;
const MOST_BYTES: u64 = 20_000_000;

/// A page of 5,000 networks of a space with kernels of 32 images, which are as many squares as a heat map has.
fn page(space: Space) -> Result<Folder, Box<dyn Error>> {
    let folder = Folder::new()?;
    let mut rows = Vec::new();
    let mut table = "id,accuracy\n".to_owned();
    for (index, cell) in space.sample(NETWORKS, 3)?.iter().enumerate() {
        let kernel = kernel(32, index as u64);
        folder.kernel(index, &kernel)?;
        rows.push(Row::of(index, cell, &kernel));
        writeln!(table, "{},{}", cell.id(), 0.5 + (index * 7919 % NETWORKS) as f64 / 1e4)?;
    }
    folder.write("scores.csv", &csv(&rows)?)?;
    folder.write("table.csv", &table)?;
    folder.done("report scores.csv --kernels k --accuracy table.csv --bootstrap 20 -o page.html")?;
    Ok(folder)
}

pub(crate) fn is_small() -> Outcome {
    for space in Space::ALL {
        let bytes = page(space)?.path("page.html").metadata()?.len();
        assert!(bytes < MOST_BYTES, "{space}: {bytes} bytes");
    }
    Ok(())
}

/// Times are bounds for a busy machine: what is seen as smooth takes a tenth of them on an idle one.
pub(crate) fn stays_smooth() -> Outcome {
    let folder = page(Space::NasBench101)?;
    let mut browser = Browser::start()?;
    browser.open(&folder.address("page.html"), 1400, 900, false)?;
    let shown = browser.script("document.querySelectorAll('#cards .cell').length")?;
    assert_eq!(shown, 24, "only one page of the gallery is in the document");
    let text = browser.script("document.querySelector('.pager span').textContent")?;
    assert_eq!(text, "Page 1 of 209");
    let time = |browser: &mut Browser, what: &str| -> Result<f64, Box<dyn Error>> {
        let script = format!(
            "(async () => {{ const start = performance.now(); {what}; \
             await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); \
             return performance.now() - start; }})()"
        );
        browser.script(&script)?.as_f64().ok_or_else(|| "no time".into())
    };
    let sort = "const sort = document.querySelector('[name=sort]'); sort.value = 'parameters'; \
                sort.dispatchEvent(new Event('input', { bubbles: true }))";
    let search = "const text = document.querySelector('[name=text]'); text.value = 'ab'; \
                  text.dispatchEvent(new Event('input', { bubbles: true }))";
    for (what, most) in [
        ("document.querySelector('.pager [data-to=next]').click()", 1000.0),
        (sort, 1500.0),
        (search, 1500.0),
        ("Chart.getChart('by-accuracy').update('none')", 1000.0),
    ] {
        let milliseconds = time(&mut browser, what)?;
        assert!(milliseconds < most, "{what}: {milliseconds} ms");
    }
    let (requests, complaints) = browser.events()?;
    assert_eq!((requests.len(), complaints.len()), (1, 0), "{requests:?} {complaints:?}");
    Ok(())
}
