//! Files that a page is made of, and those that none can be made of.

use std::fs;

use naswot::{Architecture, Space};
use naswot_cli::columns::COLUMNS;

use super::common::harness::Outcome;
use super::files::{Folder, Row, csv, kernel};

/// Three networks with their kernels of four images.
fn three(folder: &Folder) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let cells: Vec<Architecture> = Space::NasBench101.sample(3, 1)?;
    let mut rows = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let kernel = kernel(4, index as u64);
        folder.kernel(index, &kernel)?;
        rows.push(Row::of(index, cell, &kernel));
    }
    Ok(rows)
}

pub(crate) fn bad_input_is_named() -> Outcome {
    let folder = Folder::new()?;
    let rows = three(&folder)?;
    folder.write("scores.csv", &csv(&rows)?)?;
    let command = "report scores.csv --kernels k";
    assert!(folder.done(command)?.starts_with("<!doctype html>"));

    folder.write("none.csv", &csv(&[])?)?;
    folder.write("none.jsonl", "")?;
    for name in ["none.csv", "none.jsonl"] {
        let expected = format!(
            "error: {name}: holds no rows, so there is nothing to report; has `naswot score` scored any network?"
        );
        assert_eq!(folder.refused(&format!("report {name} -o page.html"))?, expected);
        assert!(!folder.path("page.html").exists() && !folder.path("page.html.part").exists());
    }
    assert!(folder.refused("report other.csv")?.starts_with("error: other.csv: "));
    folder.write("text.csv", "index,score\n1,2\n")?;
    assert_eq!(folder.refused("report text.csv")?, "error: text.csv:1: has no column `line`");
    let cut = csv(&rows)?;
    folder.write("cut.csv", &cut[..cut.len() - 30])?;
    assert!(folder.refused("report cut.csv")?.contains("cut.csv:4: the row was cut"));
    folder.write("cell.csv", &csv(&[rows[0].clone().with("arch", "0110/")])?)?;
    assert!(folder.refused("report cell.csv")?.contains("cell.csv:2: its arch: nasbench101: "));

    // Kernels of other rows.
    let other = folder.refused("report scores.csv --kernels elsewhere")?;
    assert_eq!(other, "error: elsewhere: is no folder of kernels");
    let image = rows[1].clone().with("batch_size", "8");
    folder.write("mixed.csv", &csv(&[rows[0].clone(), image])?)?;
    assert_eq!(
        folder.refused("report mixed.csv --kernels k")?,
        "error: mixed.csv:3: K is of 8 images, but of 4 at mixed.csv:2; a page shows one size"
    );
    folder.write("twice.csv", &csv(&[rows[1].clone(), rows[2].clone(), rows[1].clone()])?)?;
    assert_eq!(
        folder.refused("report twice.csv --kernels k")?,
        "error: twice.csv:4: index is 1, as at twice.csv:2: whose kernel is k/1.npy?"
    );
    folder.kernel(1, &kernel(5, 1))?;
    assert_eq!(
        folder.refused(command)?,
        "error: k/1.npy: N is 5, but batch_size is 4 at scores.csv:3: is it of another run?"
    );
    folder.kernel(1, &kernel(4, 2))?;
    let another = folder.refused(command)?;
    assert!(another.starts_with("error: k/1.npy: log |det K| is "), "{another}");
    assert!(another.ends_with(" at scores.csv:3: is it of another run?"), "{another}");
    let bits = naswot::Agreement::from_codes(&[[true; 9], [false; 9], [true; 9], [false; 9]])?;
    folder.kernel(1, &bits)?;
    assert_eq!(
        folder.refused(command)?,
        "error: k/1.npy: N_A is 9, but activations is 32 at scores.csv:3: is it of another run?"
    );
    fs::write(folder.path("k/1.npy"), "text")?;
    assert_eq!(folder.refused(command)?, "error: k/1.npy: is not a NumPy file");
    fs::remove_file(folder.path("k/1.npy"))?;
    assert_eq!(folder.refused(command)?, "error: k/1.npy: is missing, the kernel of scores.csv:3");

    folder.write("table.csv", "id,accuracy\nnobody,0.9\n")?;
    assert_eq!(
        folder.refused("report scores.csv --accuracy table.csv")?,
        "error: table.csv: has none of the networks of scores.csv: no name is in both; --key says which column names them"
    );
    let options = folder.refused("report scores.csv -o page.htm")?;
    assert!(options.contains("the name must end in .html"), "{options}");
    Ok(())
}

pub(crate) fn existing_outputs() -> Outcome {
    let folder = Folder::new()?;
    folder.write("scores.csv", &csv(&three(&folder)?)?)?;
    let command = "report scores.csv --kernels k -o page.html";
    folder.done(command)?;
    let page = fs::read(folder.path("page.html"))?;
    assert_eq!(
        page,
        folder.done("report scores.csv --kernels k")?.into_bytes(),
        "standard output has the same page"
    );
    assert_eq!(folder.refused(command)?, "error: page.html: exists already; --force replaces it");
    folder.write("page.html", "before")?;
    // What cannot be made leaves the old page alone.
    fs::remove_file(folder.path("k/2.npy"))?;
    folder.refused(&format!("{command} --force"))?;
    assert_eq!(fs::read(folder.path("page.html"))?, b"before");
    three(&folder)?;
    folder.done(&format!("{command} --force"))?;
    assert_eq!(fs::read(folder.path("page.html"))?, page);
    Ok(())
}

pub(crate) fn rows_in_other_forms_make_the_same_page() -> Outcome {
    let folder = Folder::new()?;
    let mut rows = three(&folder)?;
    rows[1] = rows[1].clone().failed("no memory");
    folder.write("scores.csv", &csv(&rows)?)?;
    let page = |name: &str| -> Result<String, Box<dyn std::error::Error>> {
        Ok(folder.done(&format!("report {name} --kernels k"))?.replace(name, "scores.csv"))
    };
    let plain = page("scores.csv")?;
    folder.done("convert scores.csv -o scores.jsonl")?;
    assert_eq!(page("scores.jsonl")?, plain);
    if cfg!(feature = "parquet") {
        folder.done("convert scores.csv -o scores.parquet")?;
        assert_eq!(page("scores.parquet")?, plain);
    } else {
        assert!(folder.refused("report scores.parquet")?.contains("built without Parquet"));
    }

    // Columns of somebody's own, in front and behind.
    let more = |text: String| -> String {
        let line = |(i, line)| {
            format!(
                "{},{line},{}\n",
                ["rank", "7"][usize::from(i > 0)],
                ["note", "\"a, b\""][usize::from(i > 0)]
            )
        };
        text.lines().enumerate().map(line).collect()
    };
    folder.write("more.csv", &more(csv(&rows)?))?;
    assert_eq!(page("more.csv")?, plain);
    let lines = fs::read_to_string(folder.path("scores.jsonl"))?;
    folder.write("more.jsonl", &lines.replace("{\"index\"", "{\"rank\":[7],\"index\""))?;
    assert_eq!(page("more.jsonl")?, plain);
    // One that is missing is said, and a row of another width.
    folder.write("less.csv", &csv(&rows)?.replace(",macs,", ",mac,"))?;
    assert_eq!(folder.refused("report less.csv")?, "error: less.csv:1: has no column `macs`");
    folder.write("wide.csv", &more(csv(&rows)?).replacen("\"a, b\"", "a, b", 1))?;
    assert_eq!(
        folder.refused("report wide.csv")?,
        format!("error: wide.csv:2: has {} columns, and the header {}", COLUMNS.len() + 3, COLUMNS.len() + 2)
    );
    Ok(())
}
