//! `naswot plot`: every kind of picture, and errors that say what is wrong.
#![cfg(unix)]

mod common;

use std::fs;
use std::process::Output;

use common::folder::Folder;
use naswot::Agreement;

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
            assert!(folder.read(&format!("{name}.svg")).trim_end().ends_with("</svg>"));
            #[cfg(feature = "png")]
            {
                plot(
                    &folder,
                    &[kind, &["-o", &format!("{name}.png"), "--theme", theme, "--scale", "1"][..]].concat(),
                    0,
                );
                assert!(fs::read(folder.path(&format!("{name}.png"))).unwrap().starts_with(b"\x89PNG"));
                // What is no SVG has no pixels.
                naswot::analysis::drawing::png(&folder.read(&format!("{name}.svg")), 1.0).unwrap();
            }
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
        (&["scatter", "empty.csv"], "empty.csv: no row has both nwot and parameters"),
        (&["histogram", "infinite.csv"], "infinite.csv: there is nothing to draw: no score is finite"),
        (&["histogram", "sweep.json"], "sweep.json: of its columns (kendall_tau, settings) none is `score`"),
        (&["heat-map", "scores.csv"], "scores.csv: is not a NumPy file"),
        (&["heat-map", "images.npy"], "images.npy: holds numbers of type"),
        (&["cell", "|none~0|"], "describes 1 nodes, not 3"),
        (&["cell", "nil.jsonl"], "nil.jsonl: No such file"),
        (&["cell", "scores.csv"], "scores.csv: holds 20 architectures; --row says which is meant"),
        (&["cell", "scores.csv", "--row", "20"], "scores.csv: has no row 20, of 20"),
        (&["cell", "lines.jsonl"], "lines.jsonl:1: nasbench101: has no key `adjacency`"),
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
