//! `naswot plot` and the pictures of the library: whole SVG whatever the texts, the numbers that they claim, and errors that
//! say what is wrong.
#![cfg(all(feature = "png", unix))]

mod common;

use std::fs;
use std::process::Output;

use common::folder::Folder;
use naswot::Agreement;
use naswot::analysis::drawing::{
    Against, Direction, Shades, Theme, cell_svg, heat_map_svg, histogram_svg, matrix_svg, png, scatter_svg,
    trace_svg,
};
use naswot::analysis::{Correlation, Trend};
use resvg::usvg::{Options, Tree};

const HOSTILE: &str = "</text></svg><script>alert('\u{1}')</script>&amp;\"]]>\u{ffff}";
const ARCH: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";

/// `naswot plot` to its end: what it said on standard error.
#[track_caller]
fn plot(folder: &Folder, arguments: &[&str], code: i32) -> String {
    let Output { status, stderr, stdout } = folder.command("plot").args(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stdout.is_empty() && !stderr.contains("panicked"), "{stderr}");
    stderr
}

/// A file of scores of 20 networks, one of them -inf and one failed.
fn scores(folder: &Folder) {
    let mut text = "index,space,id,arch,score,parameters,macs,error\n".to_owned();
    for i in 0..20 {
        let score = match i {
            4 => "-inf".to_owned(),
            9 => String::new(),
            _ => format!("{}", 300.0 + f64::from(i * 7 % 20)),
        };
        text +=
            &format!("{i},nasbench201,id{i},\"{ARCH}\",{score},{},{},\n", 1000 * (i + 1), 50_000 * (i + 1));
    }
    folder.write("scores.csv", &text);
    let rows = (0..20).map(|i| format!("id{i},{}\n", 90.0 + f64::from(i) / 10.0));
    folder.write("table.csv", &("id,test_accuracy\n".to_owned() + &rows.collect::<String>()));
}

#[test]
fn every_picture_is_whole_whatever_its_texts() {
    let cell = naswot::Space::NasBench201.parse_arch(ARCH).unwrap();
    let kernel = Agreement::new(3, vec![3, 2, 2, 2, 3, 1, 2, 1, 3]).unwrap();
    for theme in [Theme::Light, Theme::Dark] {
        let against = Against { label: HOSTILE, values: &[1.0, 2.0, 3.0], logarithmic: true };
        let names = vec![HOSTILE.to_owned(); 2];
        let taus = [vec![Some(1.0), Some(-0.5)], vec![None, Some(1.0)]];
        let pictures = [
            scatter_svg(&[3.0, f64::NEG_INFINITY, 5.0], &against, theme).unwrap(),
            histogram_svg(&[3.0, f64::NEG_INFINITY, 5.0], theme).unwrap(),
            histogram_svg(&[3.0; 7], theme).unwrap(),
            trace_svg(&[(1.0, Some(4.0)), (0.0, None)], HOSTILE, theme).unwrap(),
            matrix_svg(&names, &taus, theme).unwrap(),
            heat_map_svg(&kernel, Shades::of(&kernel), theme),
            cell_svg(&cell, Direction::TopToBottom, theme),
        ];
        for svg in pictures {
            let tree = Tree::from_str(&svg, &Options::default());
            let size = tree.unwrap_or_else(|error| panic!("{error}: {svg}")).size();
            assert!(size.width() > 100.0 && size.height() > 50.0);
            assert!(!svg.contains("<script") && !svg.contains('\u{1}') && !svg.contains("NaN"), "{svg}");
            assert!(svg.contains(&theme.ground().to_string()));
        }
    }
}

#[test]
fn a_scatter_has_a_dot_for_every_finite_score_and_says_the_correlations() {
    let scores: Vec<f64> =
        (0..50).map(|i| if i == 7 { f64::NEG_INFINITY } else { f64::from(i * 13 % 50) }).collect();
    let values: Vec<f64> = (0..50).map(f64::from).collect();
    let against = Against { label: "x", values: &values, logarithmic: false };
    let svg = scatter_svg(&scores, &against, Theme::Light).unwrap();
    assert_eq!(svg.matches("<circle").count(), 49);
    let Correlation { kendall_tau, pearson, .. } = Correlation::of(&scores, &values).unwrap();
    let said =
        format!("50 networks: Kendall τ {:.3}, Pearson r {:.3}", kendall_tau.unwrap(), pearson.unwrap());
    assert!(svg.contains(&said) && svg.contains("1 of score -inf"), "{svg}");
}

/// A line that is steeper than the dots are spread does not leave the axes.
#[test]
fn the_line_of_a_scatter_is_that_of_least_squares_within_the_axes() {
    let (values, scores) = ([10.0, 90.0, 91.0, 92.0, 93.0], [388.0, 390.0, 395.0, 400.0, 420.0]);
    for logarithmic in [false, true] {
        let svg = scatter_svg(&scores, &Against { label: "x", values: &values, logarithmic }, Theme::Light)
            .unwrap();
        let circles: Vec<(f64, f64)> = svg
            .lines()
            .filter(|line| line.starts_with("<circle"))
            .map(|line| {
                let fields: Vec<&str> = line.split('"').collect();
                (fields[1].parse().unwrap(), fields[3].parse().unwrap())
            })
            .collect();
        let line = svg.lines().find(|line| line.contains("stroke-width=\"2\"")).unwrap();
        let path = line.split('"').nth(1).unwrap();
        let ends: Vec<f64> = path[1..].split(['L', ' ']).map(|number| number.parse().unwrap()).collect();
        let [x0, y0, x1, y1] = ends[..] else { panic!("{path}") };
        // In pixels it is the line through the circles, for both axes are straight.
        let (x, y): (Vec<f64>, Vec<f64>) = circles.into_iter().unzip();
        let trend = Trend::of(&x, &y).unwrap();
        assert!((trend.at(x0) - y0).abs() < 0.1 && (trend.at(x1) - y1).abs() < 0.1, "{path} {trend:?}");
        assert!([y0, y1].iter().all(|y| (13.9..=234.1).contains(y)), "{path}");
    }
}

#[test]
fn a_png_has_the_pixels_asked_for_and_is_always_the_same() {
    let kernel = Agreement::new(2, vec![3, 2, 2, 3]).unwrap();
    let svg = heat_map_svg(&kernel, Shades::of(&kernel), Theme::Dark);
    let size = Tree::from_str(&svg, &Options::default()).unwrap().size();
    let bytes = png(&svg, 2.0).unwrap();
    assert_eq!(bytes, png(&svg, 2.0).unwrap());
    let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as f32;
    assert_eq!([side(16), side(20)], [(2.0 * size.width()).ceil(), (2.0 * size.height()).ceil()]);
    // Text is drawn: without it there are fewer colours of ink.
    let bare: String = svg.lines().filter(|line| !line.contains("<text")).collect();
    assert_ne!(bytes, png(&bare, 2.0).unwrap());
    assert!(png(&svg, 1e6).unwrap_err().to_string().contains("pixels; from 1 to 16384 a side"));
    assert!(png("<p>", 1.0).unwrap_err().to_string().starts_with("picture: is no SVG"));
}

#[test]
fn every_kind_is_drawn_as_svg_and_png() {
    let folder = Folder::new();
    scores(&folder);
    let kernel = Agreement::new(3, vec![3, 2, 2, 2, 3, 1, 2, 1, 3]).unwrap();
    kernel.write_npy(fs::File::create(folder.path("k.npy")).unwrap()).unwrap();
    folder.write(
        "sweep.json",
        r#"{"networks":2,"settings":[{"seed":0,"noise":0.0,"infinite":0},{"seed":1,"noise":0.0,"infinite":9}],"kendall_tau":[[1.0,0.5],[0.5,1.0]]}"#,
    );
    folder.write("trace.csv", "id,score,epoch,epoch_from\na,3,0,name\na,4,1,name\n");
    let kinds: [&[&str]; 8] = [
        &["scatter", "scores.csv", "--accuracy", "table.csv"],
        &["scatter", "scores.csv", "--against", "macs"],
        &["histogram", "scores.csv"],
        &["heat-map", "k.npy", "--low", "0.3"],
        &["cell", ARCH],
        &["cell", "scores.csv", "--row", "4", "--direction", "down"],
        &["matrix", "sweep.json"],
        &["trace", "trace.csv"],
    ];
    for (i, kind) in kinds.iter().enumerate() {
        for theme in ["light", "dark"] {
            let name = format!("{i}-{theme}");
            plot(&folder, &[kind, &["-o", &format!("{name}.svg"), "--theme", theme][..]].concat(), 0);
            plot(
                &folder,
                &[kind, &["-o", &format!("{name}.png"), "--theme", theme, "--scale", "1"][..]].concat(),
                0,
            );
            Tree::from_str(&folder.read(&format!("{name}.svg")), &Options::default()).unwrap();
            assert!(fs::read(folder.path(&format!("{name}.png"))).unwrap().starts_with(b"\x89PNG"));
        }
    }
    let scatter = folder.read("0-light.svg");
    assert!(scatter.contains("19 networks") && scatter.contains("test_accuracy (%)"), "{scatter}");
    // Settings are named by what differs, and by nothing that came out.
    let matrix = folder.read("6-light.svg");
    assert!(
        matrix.contains(">seed 1<") && !matrix.contains("noise") && !matrix.contains("infinite"),
        "{matrix}"
    );
    // Nothing is left beside the pictures.
    let parts = fs::read_dir(folder.path(".")).unwrap();
    assert!(parts.into_iter().all(|entry| !entry.unwrap().path().to_string_lossy().contains(".part")));
}

#[test]
fn what_cannot_be_drawn_is_said_with_its_file() {
    let folder = Folder::new();
    scores(&folder);
    folder.write("empty.csv", "id,score\n");
    folder.write("infinite.csv", "id,score\na,-inf\nb,-inf\n");
    folder.write("sweep.json", r#"{"settings":[{"seed":0}],"kendall_tau":[[1.0,0.5]]}"#);
    folder.write("lines.jsonl", "{\"space\":\"nasbench101\"}\n");
    let refused: [(&[&str], &str); 14] = [
        (&["scatter", "scores.csv", "--accuracy", "nil.csv"], "nil.csv: No such file"),
        (&["scatter", "empty.csv"], "empty.csv: no row has a score and a number of parameters"),
        (&["histogram", "infinite.csv"], "infinite.csv: there is nothing to draw: no score is finite"),
        (&["histogram", "sweep.json"], "sweep.json: is not named .csv or .jsonl"),
        (&["heat-map", "scores.csv"], "scores.csv: is not a NumPy file"),
        (&["heat-map", "images.npy"], "images.npy: holds numbers of type"),
        (&["cell", "|none~0|"], "describes 1 nodes, not 3"),
        (&["cell", "nil.jsonl"], "nil.jsonl: No such file"),
        (&["cell", "scores.csv"], "scores.csv: holds 20 architectures; --row says which is meant"),
        (&["cell", "scores.csv", "--row", "20"], "scores.csv: has no row 20, of 20"),
        (&["cell", "lines.jsonl"], "lines.jsonl:1: column 23: missing field `adjacency`"),
        (&["matrix", "scores.csv"], "scores.csv: is not what `naswot sweep --json` prints"),
        (
            &["matrix", "sweep.json"],
            "sweep.json: row 0 of the matrix has 2 entries, and there are 1 settings",
        ),
        (&["trace", "scores.csv"], "scores.csv: has rows without an `epoch`"),
    ];
    for (arguments, message) in refused {
        let said = plot(&folder, &[arguments, &["-o", "out.svg"]].concat(), 2);
        assert!(said.contains(message), "{arguments:?}: {said}");
        assert!(!folder.path("out.svg").exists() && !folder.path("out.svg.part").exists());
    }
    assert!(plot(&folder, &["cell", ARCH, "-o", "out.pdf"], 2).contains("must end in .svg or .png"));
    folder.write("there.svg", "mine");
    let said = plot(&folder, &["cell", ARCH, "-o", "there.svg"], 2);
    assert!(said.contains("there.svg: exists already; --force replaces it"), "{said}");
    assert_eq!(folder.read("there.svg"), "mine");
    plot(&folder, &["cell", ARCH, "-o", "there.svg", "--force"], 0);
}
